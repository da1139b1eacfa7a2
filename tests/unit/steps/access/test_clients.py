"""The OIDC issuer (the environment's own or a component) and the clients at it."""

from __future__ import annotations

from pathlib import Path

from mlops_platform.base.paths import Paths
from mlops_platform.catalogue.read import read_catalog
from mlops_platform.environment.issuer import issuer_of, provider
from mlops_platform.environment.model import Environment
from mlops_platform.steps.access.clients import fill

CATALOG = read_catalog(Paths.default().assets / "helm-values")


def environment(**more: object) -> Environment:
    plain = {
        "name": "here",
        "domain": "mlops.example.com",
        "cluster": {"provider": "host"},
        "components": {"vault": {}, "oauth2-proxy": {}},
    }
    return Environment.model_validate({**plain, **more})


OIDC = {
    "issuer": "https://id.example.com/realms/ml",
    "clientId": "mlops",
    "clientSecretFrom": {"namespace": "mlops-platform", "name": "oidc", "key": "secret"},
    "groupsClaim": "roles",
    "machines": [{"issuer": "https://ci.example.com", "audience": "mlops"}],
}


def test_identity_component_is_issuer_at_public_name() -> None:
    issuer = issuer_of(environment(port=8443), CATALOG)
    assert issuer
    assert issuer.url.startswith("https://login.mlops.example.com:8443/")
    assert issuer.login.startswith("https://login.mlops.example.com:8443/ui/")
    # Programs use addresses in the cluster, where public names need not resolve.
    assert issuer.redeem.startswith("http://vault.vault.svc:8200/")
    assert issuer.keys.startswith("http://vault.vault.svc:8200/")


def test_issuer_of_environment_has_priority_and_is_discovered() -> None:
    own = environment(oidc=OIDC)
    issuer = issuer_of(own, CATALOG)
    assert issuer
    assert (issuer.url, issuer.groups_claim) == ("https://id.example.com/realms/ml", "roles")
    assert not (issuer.login or issuer.redeem or issuer.keys)
    assert issuer.machines == ("https://ci.example.com=mlops",)
    assert provider(own, CATALOG) is None


def test_firewall_has_ports_of_outside_issuers() -> None:
    assert environment(oidc=OIDC).issuer_ports == (443,)
    assert environment(oidc={**OIDC, "issuer": "https://id.example.com:8443"}).issuer_ports == (443, 8443)
    assert environment().issuer_ports == ()


def test_default_port_is_omitted_from_addresses() -> None:
    assert environment().site == "mlops.example.com"
    assert environment(port=8443).site == "mlops.example.com:8443"


def test_template_keeps_types_and_removes_discovered_keys() -> None:
    template = {"a": "${yes}", "b": ["${list}"], "c": {"d": "${none}", "e": "plain ${yes}"}}
    variables = {"yes": True, "list": ["x"], "none": None}
    assert fill(template, variables) == {"a": True, "b": [["x"]], "c": {"e": "plain ${yes}"}}


def test_shipped_template_uses_only_known_variables() -> None:
    text = Path(CATALOG.folder("oauth2-proxy") / "oauth2_proxy.yml").read_text()
    known = {
        "client_id",
        "login_url",
        "redeem_url",
        "jwks_url",
        "scope",
        "groups",
        "groups_claim",
        "issuer",
        "known",
    }
    assert {part.partition("}")[0] for part in text.split("${")[1:]} <= known
