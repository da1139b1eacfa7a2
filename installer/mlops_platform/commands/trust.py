"""`trust`: write the certificate of the environment's authority to a file, and print how to trust it."""

from __future__ import annotations

from mlops_platform.console import Console


def run(console: Console) -> int:
    """Write one file into the environment's state folder; change no trust store."""
    from mlops_platform.environment.uis import exposed_uis, sign_out
    from mlops_platform.run.connect import reach, read_only
    from mlops_platform.run.open import open_environment
    from mlops_platform.steps.access.certificate import authority_file

    opened = open_environment(console.environment)
    name = console.environment = opened.environment.name
    context = read_only(opened)
    reach(context)
    file = authority_file(context)
    environment = context.environment
    uis = exposed_uis(environment, context.catalog)
    hosts = [f"{served.host or component.name}.{environment.domain}" for component, served in uis]
    hosts.append(sign_out(environment).split("/")[2].partition(":")[0])
    text = _TEXT.format(file=file, name=f"mlops-platform-{name}", hosts=" ".join(hosts))
    return console.done({"authority": str(file), "hosts": hosts}, text)


_TEXT = """\
The authority of this environment: {file}
It signs only names of its own domain, but it could sign any name: trust it only on machines for this purpose.

  browsers    Chromium  certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n {name} -i {file}
              Firefox   Settings > Certificates > Authorities > Import
              macOS     security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db {file}
  Debian      cp {file} /usr/local/share/ca-certificates/{name}.crt && update-ca-certificates
  curl        --cacert {file}
  Python      export REQUESTS_CA_BUNDLE={file}
  MLflow      export MLFLOW_TRACKING_SERVER_CERT_PATH={file}

Browsers and curl resolve names below localhost. For other programs, add this line to /etc/hosts if necessary:
127.0.0.1 {hosts}"""
