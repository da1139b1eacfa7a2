"""Login of users at the API server: the issuer that it trusts, and kubeconfigs of projects."""

from __future__ import annotations

import base64
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlops_platform.adapters.oidc import REDIRECT
from mlops_platform.adapters.vault import public
from mlops_platform.adapters.vault.issuer import endpoints
from mlops_platform.base.errors import UsageError
from mlops_platform.base.files import write_private
from mlops_platform.base.labels import OWNED
from mlops_platform.base.progress import Progress
from mlops_platform.clusters.base import TrustedIssuer
from mlops_platform.engine.graph import Difference
from mlops_platform.environment.issuer import addresses, provider
from mlops_platform.environment.uis import gateway
from mlops_platform.run.context import Context
from mlops_platform.steps.access.certificate import authority_file
from mlops_platform.steps.base import EnvironmentStep

CLIENT = "kubernetes"
SERVICE = "issuer"  # the Service through which the API server reaches the issuer's public address
PROGRAM = "mlops-platform"


def require_sign_in(context: Context) -> None:
    """Raises UsageError where members cannot log in at the API server."""
    name, environment = context.environment.name, context.environment
    if not context.cluster.capabilities.trusts_issuers:
        raise UsageError(
            f"{name}: the API server of this cluster does not take logins of the platform's users",
            why="its OIDC issuer is a setting of the cluster, and the cluster must reach the issuer: "
            "on EKS an identity provider config with a public issuer",
            hint="set the issuer there, and give members a kubeconfig for it; the roles of projects name "
            "users and groups without a prefix",
        )
    if environment.oidc:
        raise UsageError(
            f"{name}: the API server of this node cannot reach {environment.oidc.issuer}",
            why="the node has no route to the outside",
            hint="use the platform's own issuer: remove `oidc` from the environment",
        )
    if not (provider(environment, context.catalog) and gateway(environment, context.catalog)):
        raise UsageError(
            f"{name} has no sign-in", hint="choose components that provide identity and the ingress"
        )


@dataclass(frozen=True)
class TrustIssuer(EnvironmentStep):
    """Let the API server accept logins of the platform's users."""

    path = "access/kubernetes"
    layer = "access"

    def observe(self) -> Difference | None:
        known = self.context.cluster.trusted_issuer()
        if known is None:
            return Difference("let the API server trust the issuer")
        with self.context.vault.session() as vault:
            client = public.find(vault.client, CLIENT)
        service = self.context.clients.kube.get("v1", "Service", SERVICE, self._namespace) or {}
        address = service.get("spec", {}).get("clusterIP", "")
        return None if known == self._wanted(client, address) else Difference("change the trusted issuer")

    def run(self, progress: Progress) -> None:
        """Raises WaitTimedOut if the API server does not take the issuer."""
        context, kube = self.context, self.context.clients.kube_for_write()
        with context.vault.session() as vault:
            client = public.ensure(vault.client, CLIENT, REDIRECT)
        kube.apply(self._service())
        made = kube.get("v1", "Service", SERVICE, self._namespace)
        assert made, "applied above"
        progress.say("the API server reads its configuration")
        context.cluster.trust_issuer(self._wanted(client, made["spec"]["clusterIP"]), kube, context.cancel)

    @property
    def _namespace(self) -> str:
        found = gateway(self.context.environment, self.context.catalog)
        assert found, "checked by require_sign_in"
        return found[0].namespace

    def _service(self) -> dict[str, Any]:
        """The gateway at the port of its public address, which need not be that of its own Service."""
        found = gateway(self.context.environment, self.context.catalog)
        assert found, "checked by require_sign_in"
        component, served = found
        own = self.context.clients.kube.get("v1", "Service", component.name, component.namespace)
        assert own, "its release is installed"
        meta = {"name": SERVICE, "namespace": component.namespace, "labels": OWNED}
        ports = [{"name": "https", "port": _port(self._url), "targetPort": served.container}]
        spec = {"selector": own["spec"]["selector"], "ports": ports}
        return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}

    @property
    def _url(self) -> str:
        chosen = provider(self.context.environment, self.context.catalog)
        assert chosen, "checked by require_sign_in"
        return endpoints(*addresses(self.context.environment, chosen)).issuer

    def _wanted(self, client: str, address: str) -> TrustedIssuer:
        authority = authority_file(self.context).read_text()
        return TrustedIssuer(self._url, client, authority, "preferred_username", "groups", address)


def write_kubeconfig(context: Context, project: str) -> Path:
    """Write the kubeconfig of a project's members. It has no secret: each user logs in."""
    from mlops_platform.adapters.kube.kubeconfig import cluster_of, one_context  # imported at use

    issuer, name = context.cluster.trusted_issuer(), context.environment.name
    assert issuer, "TrustIssuer ran"
    cluster = cluster_of(one_context(context.access.get().kubeconfig))
    if file := cluster.pop("certificate-authority", ""):
        cluster["certificate-authority-data"] = base64.b64encode(Path(file).read_bytes()).decode()
    title = f"{name}-{project}"
    user = {"exec": _login(issuer, name)}
    chosen = {"cluster": name, "user": title, "namespace": project}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": title, "user": user}],
        "contexts": [{"name": title, "context": chosen}],
        "current-context": title,
    }
    path = context.state / "projects" / f"{project}.kubeconfig"
    write_private(path, json.dumps(config, indent=1) + "\n")
    return path


def _login(issuer: TrustedIssuer, environment: str) -> dict[str, Any]:
    """The credential plugin: this program, by its name where a shell finds it."""
    found = shutil.which(PROGRAM)
    command, first = (PROGRAM, []) if found else (sys.executable, ["-m", "mlops_platform.cli"])
    authority = base64.b64encode(issuer.authority.encode()).decode()
    arguments = ["--issuer", issuer.url, "--client", issuer.audience, "--authority", authority]
    return {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": command,
        "args": [*first, "kubernetes-login", *arguments, "--env", environment],
        "installHint": "install mlops-platform, which logs you in",
        "interactiveMode": "IfAvailable",
        "provideClusterInfo": False,
    }


def _port(url: str) -> int:
    return urlsplit(url).port or 443
