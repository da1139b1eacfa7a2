"""Smoke test of the routes: a model comes, answers callers of its project only, and goes, all without `up`.

The account of the test has the roles of the temporary project PROJECT, and of no other.
"""

from __future__ import annotations

import sys
from pathlib import Path

from apiserver import PROJECT, NotYetError, delete, get, require_condition
from apiserver import Refused as ApiRefused
from asking import AnotherError, Asker, Refused, path_of, token
from echo import API, SERVICES, create_model, plain
from probes import Probes, patiently

_BODY = {"instances": [[1, 2]]}
_OTHER = "kube-system"  # the account has no right there
_FOREIGN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")  # for the API server
_SECRETS = ("authorization", "cookie", "x-platform-proxy", "x-forwarded-user", "x-forwarded-groups")


def probe(probes: Probes) -> None:
    outside = Asker()
    with probes.works("a model that comes answers through the gateway, without `up`"):
        # The webhook may be of a pod that has just started.
        patiently(lambda: create_model("echo", plain("one")), ApiRefused)
        patiently(lambda: require_condition(get(API, SERVICES, "echo"), "Ready"), NotYetError)
        patiently(lambda: answers(outside), Refused, AnotherError, OSError)
    with probes.works("the model gets its own path and the body, and no credential or identity"):
        forged = {"Cookie": "a=b", "X-Forwarded-User": "mallory", "X-Platform-Proxy": "guess"}
        said = outside.must(path_of("echo"), token=token(), data=_BODY, headers=forged).json
        assert said["path"] == "/v1/models/echo:predict" and "instances" in said["body"], said
        assert not [name for name in said["headers"] if name.lower() in _SECRETS], said["headers"]
    with probes.works("the answer names the predictor, and has no header for the whole domain"):
        headers = {k.lower(): v for k, v in outside.must(path_of("echo"), token=token()).headers.items()}
        assert headers["x-model-predictor"] == "stable" and "set-cookie" not in headers, headers
        assert "sandbox" in headers["content-security-policy"], headers
    with probes.works("the list of the project has the model"):
        assert "echo" in listed(outside)
    strangers(probes, outside)
    inside(probes)
    goes(probes, outside)


def strangers(probes: Probes, outside: Asker) -> None:
    there = path_of("echo")
    for name, given in {
        "no token": "",
        "a text that is no token": "nonsense",
        "a token for another audience": _FOREIGN.read_text().strip(),
        "a token with a wrong signature": token().rpartition(".")[0] + ".AAAA",
    }.items():
        with probes.refused(name, Refused, "401"):
            outside.must(there, token=given, data=_BODY)
    with probes.refused("no token, for a model that does not exist", Refused, "401"):
        outside.must(path_of("nothing"))
    for path in (path_of("echo", _OTHER), f"/{_OTHER}/", f"/{PROJECT}/%2e%2e/{_OTHER}/x/"):
        with probes.refused(f"a project without a right: {path.replace(PROJECT, 'PROJECT')}", Refused, "403"):
            outside.must(path, token=token())
    for path in (path_of("nothing"), f"/{PROJECT}/echo", "/"):
        with probes.refused(f"no such model: {path.replace(PROJECT, 'PROJECT')}", Refused, "404"):
            outside.must(path, token=token())
    with probes.refused("a body of 17 MiB", Refused, "413"):
        outside.must(there, token=token(), data="x" * (17 << 20))


def inside(probes: Probes) -> None:
    """The port for pods of projects: it takes tokens, and believes no header about a person."""
    asker = Asker(inside=True)
    with probes.works("a pod of a project asks with its token"):
        assert asker.must(path_of("echo"), token=token(), data=_BODY).json["version"] == "one"
    with probes.refused("a name without the gateway's secret", Refused, "401"):
        asker.must(
            path_of("echo"), headers={"X-Forwarded-User": "ada", "X-Forwarded-Groups": "platform-admins"}
        )


def goes(probes: Probes, outside: Asker) -> None:
    with probes.works("a model that goes has no route, without `up`"):
        create_model("brief", plain("one", replicas=0))  # a route without pods
        patiently(lambda: require_listed(outside, "brief", there=True), AnotherError)
        delete(API, SERVICES, "brief")
        patiently(lambda: require_listed(outside, "brief", there=False), AnotherError)
    with probes.refused("a model that has gone", Refused, "404"):
        outside.must(path_of("brief"), token=token(), data=_BODY)


def read(probes: Probes) -> None:
    with probes.works("the model answers again after the pods of the routes were deleted"):
        patiently(lambda: answers(Asker()), Refused, AnotherError, OSError)


def answers(asker: Asker) -> None:
    said = asker.must(path_of("echo"), token=token(), data=_BODY).json
    if said["version"] != "one":
        raise AnotherError(str(said))


def listed(asker: Asker) -> list[str]:
    return [model["name"] for model in asker.must(f"/{PROJECT}/", token=token()).json["models"]]


def require_listed(asker: Asker, name: str, *, there: bool) -> None:
    if (name in listed(asker)) != there:
        raise AnotherError(f"{name}: {'not ' if there else ''}listed")


if __name__ == "__main__":
    running = Probes()
    for act in sys.argv[1:]:
        {"probe": probe, "write": lambda _: None, "read": read}[act](running)
    running.end()
