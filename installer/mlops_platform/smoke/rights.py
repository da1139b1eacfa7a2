"""Rights in two projects, as the API server decides them: of accounts and members, in both namespaces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlops_platform.adapters.kube import Kube
from mlops_platform.base.labels import SERVER, TASKS, TRAINER
from mlops_platform.engine.result import Result
from mlops_platform.steps.projects.model import Member

# Members of the first temporary project; no such group or user signs in.
MEMBERS = (Member("group", "smoke-editors", "edit"), Member("user", "smoke-viewer", "view"))
_AUTHENTICATED = "system:authenticated"
_JOBS, _PODS, _SECRETS = ("batch", "jobs"), ("", "pods"), ("", "secrets")
_CLOSED = (
    _SECRETS,
    ("networking.k8s.io", "networkpolicies"),
    ("rbac.authorization.k8s.io", "roles"),
    ("", "resourcequotas"),
    ("", "serviceaccounts"),
)


def rights(kube: Kube, one: str, two: str, readable: Sequence[tuple[str, str]] = ()) -> Iterator[Result]:
    """What subjects of project A (`one`) may do in A and in B (`two`), and with kinds in no namespace."""
    members = {str(member): _member(member) for member in MEMBERS}
    editor = next(iter(members))
    subjects = {name: _account(one, name) for name in (TRAINER, TASKS, SERVER)} | members
    for name, subject in subjects.items():
        who, edits = f"{name} of project A", name in (TRAINER, TASKS, editor)
        yield _ask(kube, subject, f"{who} lists pods in A", one, "list", _PODS, allowed=True)
        yield _ask(kube, subject, f"{who} creates Jobs in A", one, "create", _JOBS, allowed=edits)
        for group, resource in _CLOSED:
            what = f"{who} changes {resource} in A"
            yield _ask(kube, subject, what, one, "patch", (group, resource), allowed=False)
        yield _ask(kube, subject, f"{who} reads secrets in A", one, "get", _SECRETS, allowed=False)
        yield _ask(kube, subject, f"{who} lists namespaces", "", "list", ("", "namespaces"), allowed=False)
        yield _ask(kube, subject, f"{who} lists pods in B", two, "list", _PODS, allowed=False)
        yield _ask(kube, subject, f"{who} creates Jobs in B", two, "create", _JOBS, allowed=False)
        for kind in readable:
            yield _ask(kube, subject, f"{who} lists {kind[1]}", "", "list", kind, allowed=True)
            yield _ask(kube, subject, f"{who} changes {kind[1]}", "", "patch", kind, allowed=False)


def _account(namespace: str, name: str) -> Mapping[str, Any]:
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", _AUTHENTICATED]
    return {"user": f"system:serviceaccount:{namespace}:{name}", "groups": groups}


def _member(member: Member) -> Mapping[str, Any]:
    if member.kind == "user":
        return {"user": member.name, "groups": [_AUTHENTICATED]}
    return {"user": "smoke", "groups": [member.name, _AUTHENTICATED]}


def _ask(
    kube: Kube,
    subject: Mapping[str, Any],
    name: str,
    namespace: str,
    verb: str,
    target: tuple[str, str],
    *,
    allowed: bool,
) -> Result:
    group, resource = target
    attributes = {"namespace": namespace, "verb": verb, "group": group, "resource": resource}
    review = kube.create(
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "metadata": {},
            "spec": {**subject, "resourceAttributes": attributes},
        }
    )
    right = bool(review["status"].get("allowed")) == allowed
    detail = "" if right else f"{review['status'].get('reason') or 'no rule allows it'}"
    return Result(name if allowed else f"refused: {name}", right, detail, negative=not allowed)
