"""Logins, certificates and proxies of a kubeconfig, against an HTTPS server on loopback."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlops_platform.adapters.kube import Kube, KubeError, transport
from mlops_platform.adapters.kube.connection import Connection
from mlops_platform.adapters.kube.kubeconfig import KubeconfigError
from mlops_platform.base.errors import CommandFailed, PreflightError

from tests.fakes.kubeapi import FakeApi, Seen, b64, fake_api, fake_proxy, pair

PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")
V1, BETA = "client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakeApi]:
    with fake_api(tmp_path) as server:
        yield server


def write(folder: Path, api: FakeApi, user: dict[str, Any] | None = None, **cluster: Any) -> Path:
    """A kubeconfig of the server in a folder of its own; an underscore in `cluster` stands for a hyphen."""
    more = {key.replace("_", "-"): value for key, value in cluster.items()}
    described = {"server": api.url, "certificate-authority-data": b64(api.authority), **more}
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": described}],
        "users": [{"name": "u", "user": user or {}}],
    }
    file = folder / "own" / "kubeconfig"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(config))
    return file


def plugin(folder: Path, code: str, api_version: str = V1, **more: Any) -> dict[str, Any]:
    """An `exec` section whose program is Python; `calls` in its folder counts its runs."""
    script = folder / "plugin.py"
    counted = f"open({str(folder / 'calls')!r}, 'a').write('x')\n"
    script.write_text(f"import json, os, sys, time\n{counted}{code}")
    section = {"apiVersion": api_version, "command": sys.executable, "args": [str(script)], **more}
    return {"exec": section}


def prints(status: str, api_version: str = V1) -> str:
    """Code that prints an ExecCredential; `status` is a Python expression."""
    return (
        f"print(json.dumps({{'apiVersion': {api_version!r}, 'kind': 'ExecCredential', 'status': {status}}}))"
    )


def calls(folder: Path) -> int:
    return len((folder / "calls").read_text())


def asked(kube: Kube) -> None:
    kube.get("v1", "Namespace", "default")


@pytest.mark.parametrize(
    ("user", "header"),
    [
        ({"token": "t"}, "Bearer t"),
        ({"username": "a", "password": "b"}, f"Basic {b64('a:b')}"),
        ({}, ""),
        ({"token": ""}, ""),
    ],
)
def test_login_of_kubeconfig_is_sent(tmp_path: Path, api: FakeApi, user: dict[str, Any], header: str) -> None:
    asked(Kube(write(tmp_path, api, user)))
    assert [each.authorization for each in api.seen] == [header]


def test_request_is_sent_again_later_if_the_server_asks_for_it(tmp_path: Path, api: FakeApi) -> None:
    """As while the storage of a new kind starts: nothing was done, so a write may be repeated too."""
    answers = iter((429, 201))
    api.answer = lambda _: (next(answers), {})
    Kube(write(tmp_path, api)).create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}})
    assert [each.method for each in api.seen] == ["POST", "POST"]


def test_server_that_never_takes_a_request_is_an_error(
    tmp_path: Path, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_LATER_SECONDS", 0.1)
    api.answer = lambda _: (429, {"reason": "TooManyRequests", "message": "storage is (re)initializing"})
    with pytest.raises(KubeError, match="429 TooManyRequests") as caught:
        asked(Kube(write(tmp_path, api)))
    assert caught.value.transient


def test_given_token_replaces_user_and_is_asked_for_each_request(tmp_path: Path, api: FakeApi) -> None:
    tokens = iter(("one", "two"))
    kube = Kube(write(tmp_path, api, plugin(tmp_path, "sys.exit(1)")), lambda: next(tokens))
    asked(kube)
    asked(kube)
    assert [each.authorization for each in api.seen] == ["Bearer one", "Bearer two"]


def test_named_context_is_used_and_relative_paths_start_at_kubeconfig(tmp_path: Path, api: FakeApi) -> None:
    file = write(tmp_path, api)
    data = json.loads(file.read_text())
    (file.parent / "ca.crt").write_text(api.authority)
    (file.parent / "token").write_text("held\n")
    data["clusters"].append({"name": "k2", "cluster": {"server": api.url, "certificate-authority": "ca.crt"}})
    data["users"].append({"name": "u2", "user": {"tokenFile": "token", "token": "not this one"}})
    data["contexts"].append({"name": "c2", "context": {"cluster": "k2", "user": "u2"}})
    file.write_text(json.dumps(data))
    asked(Kube(file, context="c2"))
    assert api.seen[0].authorization == "Bearer held"


def test_rotated_token_file_is_read_again_without_new_connection_errors(tmp_path: Path, api: FakeApi) -> None:
    token = tmp_path / "token"
    token.write_text("one")
    kube = Kube(write(tmp_path, api, {"tokenFile": str(token)}))
    asked(kube)
    (tmp_path / "next").write_text("two")
    (tmp_path / "next").replace(token)
    asked(kube)
    assert [each.authorization for each in api.seen] == ["Bearer one", "Bearer two"]
    token.unlink()
    with pytest.raises(KubeconfigError, match="cannot be used") as gone:
        asked(kube)
    assert "tokenFile" in gone.value.why


def test_connections_are_kept_and_one_client_serves_many_threads(tmp_path: Path, api: FakeApi) -> None:
    kube = Kube(write(tmp_path, api, {"token": "t"}))
    for _ in range(5):
        asked(kube)
    assert len({each.port for each in api.seen}) == 1
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: asked(kube), range(80)))
    assert len(api.seen) == 85 and len({each.port for each in api.seen}) <= 16


def test_threads_that_connect_at_once_do_not_alter_the_tls_they_share(
    tmp_path: Path, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL frees the list of protocols while another thread copies it: garbage in its first message."""
    kube = Kube(write(tmp_path, api, {"token": "t"}))
    together, alterations = threading.Barrier(6), []
    monkeypatch.setattr(ssl.SSLContext, "set_alpn_protocols", lambda _, given: alterations.append(given))
    api.answer = lambda _: (together.wait(20), (200, {}))[1]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: asked(kube), range(6)))
    assert len({each.port for each in api.seen}) == 6 and alterations == []


@pytest.mark.parametrize("inline", [True, False])
def test_client_certificate_is_shown_and_no_key_stays_on_disk(tmp_path: Path, inline: bool) -> None:
    certificate, key = pair("ann")
    (tmp_path / "ann.crt").write_text(certificate)
    (tmp_path / "ann.key").write_text(key)
    user = (
        {"client-certificate-data": b64(certificate), "client-key-data": b64(key)}
        if inline
        else {"client-certificate": str(tmp_path / "ann.crt"), "client-key": str(tmp_path / "ann.key")}
    )
    with fake_api(tmp_path, clients=certificate) as api:
        file = write(tmp_path, api, user)
        asked(Kube(file))
        assert api.seen[0].client == "ann"
    assert [each.name for each in file.parent.iterdir()] == ["kubeconfig"]


def test_key_files_are_private_and_those_of_killed_process_go_at_next_start(
    tmp_path: Path, api: FakeApi
) -> None:
    file = write(tmp_path, api, {"token": "t"})
    code = (
        "import sys, signal, os\n"
        "from pathlib import Path\n"
        "from mlops_platform.adapters.kube.key_files import key_folder\n"
        "with key_folder(Path(sys.argv[1])) as folder:\n"
        "    print(folder, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    argv = [sys.executable, "-c", code, str(file.parent)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        folder = Path(other.stdout.readline().strip())
        assert folder.parent == file.parent and stat.S_IMODE(folder.stat().st_mode) == 0o700
        Kube(file)
        assert folder.is_dir(), "its process lives"
        other.kill()
    Kube(file)
    assert not folder.exists()


def test_unknown_server_is_refused_unless_kubeconfig_skips_verification(tmp_path: Path, api: FakeApi) -> None:
    other, _ = pair("another authority")
    with pytest.raises(KubeError, match="does not answer") as refused:
        asked(Kube(write(tmp_path, api, certificate_authority_data=b64(other))))
    assert "certificate verify failed" in refused.value.why
    asked(Kube(write(tmp_path, api, certificate_authority_data="", insecure_skip_tls_verify=True)))
    assert len(api.seen) == 1


def test_server_name_of_kubeconfig_is_the_one_that_certificate_must_have(tmp_path: Path) -> None:
    with fake_api(tmp_path, alternative="api.test") as api:
        with pytest.raises(KubeError) as refused:
            asked(Kube(write(tmp_path, api)))
        assert "IP address mismatch" in refused.value.why
        asked(Kube(write(tmp_path, api, tls_server_name="api.test")))


def test_redirect_is_refused_and_read_is_repeated_once_where_change_is_not(
    tmp_path: Path, api: FakeApi
) -> None:
    kube = Kube(write(tmp_path, api))
    api.answer = lambda _: (302, {})
    with pytest.raises(KubeError, match="302 Found"):
        asked(kube)
    drops = iter((True, False, True))

    def drop(_: Seen) -> tuple[int, Any]:
        if next(drops):
            raise ConnectionResetError
        return 200, {"kind": "Namespace"}

    api.answer = drop
    assert kube.get("v1", "Namespace", "default") == {"kind": "Namespace"}
    with pytest.raises(KubeError) as error:
        kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
    assert (error.value.status, error.value.transient) == (0, True)
    assert [each.method for each in api.seen] == ["GET", "GET", "GET", "POST"]


def test_exec_token_is_kept_until_shortly_before_its_end(tmp_path: Path, api: FakeApi) -> None:
    ends = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    code = prints(f"{{'token': os.environ['WHO'], 'expirationTimestamp': {ends!r}}}")
    user = plugin(tmp_path, code, env=[{"name": "WHO", "value": "ann"}])
    kube = Kube(write(tmp_path, api, user))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: asked(kube), range(8)))
    assert {each.authorization for each in api.seen} == {"Bearer ann"} and calls(tmp_path) == 1


def test_expired_exec_token_is_renewed_before_use(tmp_path: Path, api: FakeApi) -> None:
    code = prints("{'token': str(time.time()), 'expirationTimestamp': '2020-01-01T00:00:00Z'}", BETA)
    kube = Kube(write(tmp_path, api, plugin(tmp_path, code, BETA)))
    asked(kube)
    asked(kube)
    assert len({each.authorization for each in api.seen}) == 2


def test_refused_exec_token_is_renewed_once_for_all_threads(tmp_path: Path, api: FakeApi) -> None:
    count = f"len(open({str(tmp_path / 'calls')!r}).read())"
    kube = Kube(write(tmp_path, api, plugin(tmp_path, prints(f"{{'token': str({count})}}"))))
    together = threading.Barrier(6)

    def answer(seen: Seen) -> tuple[int, Any]:
        if seen.authorization == "Bearer 1":
            together.wait(20)
            return 401, {"reason": "Unauthorized", "message": "Unauthorized"}
        return 200, {}

    api.answer = answer
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: asked(kube), range(6)))
    assert calls(tmp_path) == 2
    api.answer = lambda _: (401, {"reason": "Unauthorized", "message": "Unauthorized"})
    with pytest.raises(KubeError, match="401 Unauthorized"):
        asked(kube)
    assert calls(tmp_path) == 3


def test_exec_certificate_is_used_and_replaced_when_it_ends(tmp_path: Path) -> None:
    pairs = [pair("first"), pair("second")]
    (tmp_path / "pairs.json").write_text(json.dumps(pairs))
    code = (
        f"pairs = json.load(open({str(tmp_path / 'pairs.json')!r}))\n"
        f"cert, key = pairs[len(open({str(tmp_path / 'calls')!r}).read()) - 1]\n"
        "ends = ['2020-01-01T00:00:00Z', '2100-01-01T00:00:00Z'][cert == pairs[1][0]]\n"
    ) + prints("{'clientCertificateData': cert, 'clientKeyData': key, 'expirationTimestamp': ends}")
    with fake_api(tmp_path, clients="".join(certificate for certificate, _ in pairs)) as api:
        kube = Kube(write(tmp_path, api, plugin(tmp_path, code)))
        asked(kube)
        asked(kube)
    assert [each.client for each in api.seen] == ["second", "second"]


def test_exec_program_gets_cluster_only_if_it_asks(tmp_path: Path, api: FakeApi) -> None:
    said = tmp_path / "info"
    code = f"open({str(said)!r}, 'w').write(os.environ['KUBERNETES_EXEC_INFO'])\n" + prints("{'token': 't'}")
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "a"}}
    Kube(write(tmp_path, api, plugin(tmp_path, code), extensions=["other", extension]))
    expected = {"apiVersion": V1, "kind": "ExecCredential", "spec": {"interactive": False}}
    assert json.loads(said.read_text()) == expected
    Kube(
        write(tmp_path, api, plugin(tmp_path, code, provideClusterInfo=True), extensions=["other", extension])
    )
    assert json.loads(said.read_text())["spec"]["cluster"] == {
        "server": api.url,
        "certificate-authority-data": b64(api.authority),
        "config": {"audience": "a"},
    }


def test_missing_exec_program_shows_its_install_hint(tmp_path: Path, api: FakeApi) -> None:
    run = {"apiVersion": V1, "command": "no-such-login", "installHint": "pip install it\n"}
    with pytest.raises(PreflightError, match="no-such-login") as missing:
        Kube(write(tmp_path, api, {"exec": run}))
    assert missing.value.hint == "pip install it"


def test_failing_exec_program_shows_what_it_printed(tmp_path: Path, api: FakeApi) -> None:
    with pytest.raises(CommandFailed) as failed:
        Kube(write(tmp_path, api, plugin(tmp_path, "sys.exit('log in first')")))
    assert "log in first" in failed.value.why


@pytest.mark.parametrize(
    "printed",
    ["", "[]", "null", "secret", '{"kind": "ExecCredential"}', '"secret"', "{}"],
)
def test_exec_output_that_is_no_credential_is_named_and_not_shown(
    tmp_path: Path, api: FakeApi, printed: str
) -> None:
    with pytest.raises(KubeconfigError) as wrong:
        Kube(write(tmp_path, api, plugin(tmp_path, f"print({printed!r})")))
    assert "printed no ExecCredential" in wrong.value.why and "secret" not in wrong.value.why


@pytest.mark.parametrize(
    "status",
    [
        "None",
        "{}",
        "{'token': 1}",
        "{'clientCertificateData': 'x'}",
        "{'token': 't', 'expirationTimestamp': 'x'}",
    ],
)
def test_exec_status_without_login_is_refused(tmp_path: Path, api: FakeApi, status: str) -> None:
    with pytest.raises(KubeconfigError):
        Kube(write(tmp_path, api, plugin(tmp_path, prints(status))))


@pytest.mark.parametrize(
    ("section", "why"),
    [
        ("text", "must be a mapping"),
        ({"command": "x"}, "apiVersion must be"),
        ({"apiVersion": "client.authentication.k8s.io/v1alpha1", "command": "x"}, "apiVersion must be"),
        ({"apiVersion": V1}, "command is missing"),
        ({"apiVersion": V1, "command": 7}, "command is missing"),
        ({"apiVersion": V1, "command": "x", "args": "y"}, "args must be"),
        ({"apiVersion": V1, "command": "x", "env": [{"name": "A"}]}, "env must be"),
        ({"apiVersion": V1, "command": "x", "env": {"A": "b"}}, "env must be"),
        ({"apiVersion": V1, "command": "x", "interactiveMode": "No"}, "interactiveMode must be"),
        ({"apiVersion": V1, "command": "x", "interactiveMode": "Always"}, "no terminal"),
        ({"apiVersion": V1, "command": "/"}, "cannot be run"),
        ({"apiVersion": V1, "command": "x\0y"}, "cannot be run"),
    ],
)
def test_exec_section_that_kubectl_refuses_is_named(
    tmp_path: Path, api: FakeApi, section: Any, why: str
) -> None:
    with pytest.raises(KubeconfigError) as wrong:
        Kube(write(tmp_path, api, {"exec": section}))
    assert why in wrong.value.why


def jwt(ends: float) -> str:
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, {"exp": int(ends)})]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + ".x"


def oidc(api: FakeApi, token: str, **more: str) -> dict[str, Any]:
    config = {"idp-issuer-url": api.url, "client-id": "kubectl", "refresh-token": "r1", **more}
    return {"auth-provider": {"name": "oidc", "config": {**config, "id-token": token}}}


@pytest.mark.parametrize("held", ["expired", "missing"])
def test_expired_oidc_token_is_refreshed_and_kept_as_kubectl_does(
    tmp_path: Path, api: FakeApi, held: str
) -> None:
    fresh = jwt(time.time() + 3600)

    def answer(seen: Seen) -> tuple[int, Any]:
        if seen.path.endswith("openid-configuration"):
            return 200, {"token_endpoint": f"{api.url}/token"}
        if seen.path == "/token":
            return 200, {"id_token": fresh, "access_token": "a", "refresh_token": "r2", "token_type": "b"}
        return 200, {}

    api.answer = answer
    authority = {"idp-certificate-authority-data": b64(api.authority)}
    file = write(tmp_path, api, oidc(api, jwt(time.time() - 60) if held == "expired" else "", **authority))
    asked(Kube(file))
    assert api.seen[-1].authorization == f"Bearer {fresh}"
    assert "refresh_token=r1" in api.seen[1].body
    (user,) = yaml.safe_load(file.read_text())["users"]
    kept = user["user"]["auth-provider"]["config"]
    assert (kept["id-token"], kept["refresh-token"]) == (fresh, "r2")
    assert set(kept) == {"idp-issuer-url", "client-id", "refresh-token", "id-token", *authority}
    asked(Kube(file))
    assert len(api.seen) == 4, "a valid token is not refreshed"
    assert [each.name for each in file.parent.iterdir()] == ["kubeconfig"]


def test_oidc_issuer_with_unknown_certificate_gets_no_refresh_token(tmp_path: Path, api: FakeApi) -> None:
    with pytest.raises(KubeconfigError):
        Kube(write(tmp_path, api, oidc(api, jwt(0))))
    assert not api.seen


def test_oidc_issuer_that_refuses_is_no_traceback(tmp_path: Path, api: FakeApi) -> None:
    def answer(seen: Seen) -> tuple[int, Any]:
        known = {"token_endpoint": f"{api.url}/token"}
        return (200, known) if seen.path.endswith("configuration") else (400, {"error": "invalid_grant"})

    api.answer = answer
    authority = {"idp-certificate-authority-data": b64(api.authority)}
    with pytest.raises(KubeconfigError) as refused:
        Kube(write(tmp_path, api, oidc(api, "", **authority)))
    assert "invalid_grant" in refused.value.why


@pytest.mark.parametrize("name", ["gcp", "azure", "", None])
def test_removed_auth_provider_has_hint(tmp_path: Path, api: FakeApi, name: str | None) -> None:
    with pytest.raises(KubeconfigError) as wrong:
        Kube(write(tmp_path, api, {"auth-provider": {"name": name, "config": {}}}))
    assert "exec program" in wrong.value.hint


def test_proxy_of_environment_carries_requests_and_forwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fake_api(tmp_path, alternative="api.test") as api, fake_proxy(api.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://ann:p%40ss@127.0.0.1:{proxy.port}")
        file = write(tmp_path, api, {"token": "t"}, server="https://api.test:6443")
        kube = Kube(file)
        asked(kube)
        assert isinstance(kube.connection, Connection)
        kube.connection.dial(10).close()
        assert len(proxy.asked) == 2
        for head in proxy.asked:
            assert head.startswith("CONNECT api.test:6443 ")
            assert f"Proxy-Authorization: Basic {b64('ann:p@ss')}".lower() in head.lower()
        monkeypatch.setenv("NO_PROXY", "other.test,.test")
        with pytest.raises(KubeError, match="does not answer"):
            asked(Kube(file))
        described = write(tmp_path, api, server="https://api.test:6443", proxy_url=f"127.0.0.1:{proxy.port}")
        asked(Kube(described))
        assert len(proxy.asked) == 3, "NO_PROXY does not count for a proxy-url"


def test_proxy_of_environment_is_not_used_for_loopback(
    tmp_path: Path, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    asked(Kube(write(tmp_path, api)))


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "http://:3128", "http://a:b@c:port", "ftp://x"])
def test_unusable_proxy_has_hint_and_hides_password(tmp_path: Path, api: FakeApi, proxy: str) -> None:
    with pytest.raises(KubeconfigError) as wrong:
        Kube(write(tmp_path, api, proxy_url=proxy))
    assert "proxy-url" in wrong.value.hint and "a:b" not in wrong.value.why


def test_encrypted_or_broken_key_is_refused_without_asking_for_password(tmp_path: Path, api: FakeApi) -> None:
    from cryptography.hazmat.primitives import serialization

    certificate, key = pair("ann")
    loaded = serialization.load_pem_private_key(key.encode(), None)
    locked = loaded.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    ).decode()
    for wrong in (locked, "no key", pair("another")[1]):
        user = {"client-certificate-data": b64(certificate), "client-key-data": b64(wrong)}
        with pytest.raises(KubeconfigError) as refused:
            Kube(write(tmp_path, api, user))
        assert "not usable" in refused.value.why


def test_server_that_does_not_answer_is_transient(tmp_path: Path, api: FakeApi) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    kube = Kube(write(tmp_path, api, server=f"https://127.0.0.1:{port}"))
    with pytest.raises(KubeError) as gone:
        asked(kube)
    assert (gone.value.status, gone.value.transient) == (0, True)
    assert re.fullmatch(r".*Connection refused", gone.value.why) and os.linesep not in gone.value.why


def test_requests_load_neither_typed_api_nor_oidc_libraries(tmp_path: Path, api: FakeApi) -> None:
    file = write(tmp_path, api, {"token": "t"})
    heavy = (
        "kubernetes.client.api", "kubernetes.dynamic", "kubernetes.stream", "kubernetes.watch",
        "requests", "requests_oauthlib", "oauthlib", "websocket", "aiohttp", "google",
    )  # fmt: skip
    code = (
        "import sys\nfrom pathlib import Path\nfrom mlops_platform.adapters.kube import Kube\n"
        f"Kube(Path({str(file)!r})).list('v1', 'Pod')\n"
        f"print([m for m in {heavy} if m in sys.modules],"
        " [m for m in sys.modules if m.startswith('kubernetes.client.models.')])"
    )
    api.answer = lambda _: (200, {"items": [], "metadata": {}})
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[] []\n", "")
