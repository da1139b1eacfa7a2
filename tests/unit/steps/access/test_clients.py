"""Proves whose word counts: the environment's own provider or a component; and what a client is told."""

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


def test_the_chosen_component_is_the_issuer_under_the_public_name() -> None:
    issuer = issuer_of(environment(port=8443), CATALOG)
    assert issuer
    assert issuer.url.startswith("https://login.mlops.example.com:8443/")
    assert issuer.login.startswith("https://login.mlops.example.com:8443/ui/")
    # What programs ask is asked in the cluster, where public names need not resolve.
    assert issuer.redeem.startswith("http://vault.vault.svc:8200/")
    assert issuer.keys.startswith("http://vault.vault.svc:8200/")


def test_an_environments_own_provider_wins_and_is_discovered() -> None:
    own = environment(oidc=OIDC)
    issuer = issuer_of(own, CATALOG)
    assert issuer
    assert (issuer.url, issuer.groups_claim) == ("https://id.example.com/realms/ml", "roles")
    assert not (issuer.login or issuer.redeem or issuer.keys)
    assert issuer.machines == ("https://ci.example.com=mlops",)
    assert provider(own, CATALOG) is None


def test_the_ports_of_issuers_outside_are_known_to_the_firewall() -> None:
    assert environment(oidc=OIDC).issuer_ports == (443,)
    assert environment(oidc={**OIDC, "issuer": "https://id.example.com:8443"}).issuer_ports == (443, 8443)
    assert environment().issuer_ports == ()


def test_the_port_is_in_addresses_only_where_browsers_write_it() -> None:
    assert environment().site == "mlops.example.com"
    assert environment(port=8443).site == "mlops.example.com:8443"


def test_a_template_keeps_types_and_loses_what_is_to_be_discovered() -> None:
    template = {"a": "${yes}", "b": ["${list}"], "c": {"d": "${none}", "e": "plain ${yes}"}}
    words = {"yes": True, "list": ["x"], "none": None}
    assert fill(template, words) == {"a": True, "b": [["x"]], "c": {"e": "plain ${yes}"}}


def test_the_shipped_template_uses_no_word_that_is_not_known() -> None:
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
