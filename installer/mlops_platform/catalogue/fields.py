"""Types of single values in component.yaml and environment files, each with its check."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, Field

from mlops_platform.base.quantities import cpu, memory


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z]([-a-z0-9]{0,28}[a-z0-9])?", value):
        raise ValueError("not a name | lower-case letters, digits and dashes, at most 30, a letter first")
    return value


def _pinned(value: str) -> str:
    """Check that a version is exact: with a range, a branch or 'latest' two runs can differ."""
    if len(value) > 60 or not re.fullmatch(r"v?[0-9]+(\.[0-9]+)*([-+.][0-9A-Za-z.-]+)?", value):
        raise ValueError("not a pinned version | write one exact version, such as 3.18.0")
    return value


def _digest(value: str) -> str:
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", value):
        raise ValueError("not a digest | sha256: and 64 hexadecimal digits")
    return value


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise ValueError("not a network | such as 192.0.2.0/24, or 192.0.2.7/32 for one host") from None


def _path(value: str) -> str:
    """Check a path that becomes part of a web server's configuration: no character has a meaning there."""
    if not re.fullmatch(r"/[A-Za-z0-9._~/-]*", value) or "//" in value or ".." in value:
        raise ValueError("not a path | such as /api/, with letters, digits and ._~-/ only")
    return value


def _file(value: str) -> str:
    """Check a file's name: it is a key of a ConfigMap and lies in the component's own folder."""
    if len(value) > 200 or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", value):
        raise ValueError("not a file name | a file in the component's folder, without a path")
    return value


def _label(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9._/]{0,61}[A-Za-z0-9])?", value):
        raise ValueError("not a label | letters, digits and -._ only, at most 63; a key may have one /")
    return value


def _script(value: str) -> str:
    if not _file(value).endswith(".py"):
        raise ValueError("not a Python script | its name ends in .py")
    return value


def _pods(value: str) -> str:
    if not re.fullmatch(r"(deployment/)?[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?", value):
        raise ValueError("not pods | such as db-0, or deployment/web for all pods of it")
    return value


def _env(value: str) -> str:
    if len(value) > 200 or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError("not a variable's name | letters, digits and _, no digit first")
    return value


def _port_name(value: str) -> str:
    if not re.fullmatch(r"[a-z]([-a-z0-9]{0,13}[a-z0-9])?", value):
        raise ValueError("not a port's name | lower-case letters, digits and dashes, at most 15")
    return value


def _audience(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,62}[a-z0-9])?", value):
        raise ValueError("not an audience | lower-case letters, digits, dots and dashes, such as tracking")
    return value


def _api_group(value: str) -> str:
    if not re.fullmatch(r"([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)+[a-z]+", value) or len(value) > 200:
        raise ValueError("not an API group | such as queues.example.com")
    return value


def _go_module(value: str) -> str:
    if len(value) > 200 or not re.fullmatch(r"[a-z0-9.-]+(/[A-Za-z0-9._~-]+)*", value) or ".." in value:
        raise ValueError("not a Go module | its path as in go.mod, such as example.com/operator")
    return value


def _folder(value: str) -> str:
    """Check a folder's path: it stays inside of the folder to which it is relative."""
    parts = value.split("/")
    if len(value) > 200 or not re.fullmatch(r"[A-Za-z0-9._/-]+", value) or {"", ".", ".."} & set(parts):
        raise ValueError("not a folder | a relative path without .., such as charts/operator")
    return value


def _object_name(value: str) -> str:
    """Check the name of a Kubernetes object; names of roles have colons."""
    if len(value) > 253 or not re.fullmatch(r"[a-z0-9]([-a-z0-9.:]*[a-z0-9])?", value):
        raise ValueError("not an object's name | lower-case letters, digits, dashes, dots and colons")
    return value


def _omission(value: str) -> str:
    kind, slash, name = value.partition("/")
    if not re.fullmatch(r"[A-Z][A-Za-z]+", kind) or (slash and not _object_name(name)):
        raise ValueError("not objects | a kind, such as Certificate, or Kind/name for one object")
    return value


def _label_key(value: str) -> str:
    """Check the key of a label: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/."""
    prefix, slash, name = value.rpartition("/")
    right = re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", name)
    if not right or (slash and not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", prefix)):
        raise ValueError("not the key of a label | such as queues.example.com/name")
    return value


def _git_tree(value: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{40}", value):
        raise ValueError("not the id of a git tree | 40 hex digits: git rev-parse <ref>^{tree}")
    return value


def _variable(value: str) -> str:
    if len(value) > 30 or not re.fullmatch(r"[a-z][a-z0-9_]*", value):
        raise ValueError("not a variable's name | lower-case letters, digits and _, a letter first")
    return value


Network = Annotated[str, AfterValidator(_network)]
Name = Annotated[str, AfterValidator(_name)]
UrlPath = Annotated[str, AfterValidator(_path)]
Pinned = Annotated[str, AfterValidator(_pinned)]
Digest = Annotated[str, AfterValidator(_digest)]
GitTree = Annotated[str, AfterValidator(_git_tree)]
FileName = Annotated[str, AfterValidator(_file)]
ScriptName = Annotated[str, AfterValidator(_script)]
Pods = Annotated[str, AfterValidator(_pods)]
EnvName = Annotated[str, AfterValidator(_env)]
PortName = Annotated[str, AfterValidator(_port_name)]
Label = Annotated[str, AfterValidator(_label)]
Audience = Annotated[str, AfterValidator(_audience)]
ApiGroup = Annotated[str, AfterValidator(_api_group)]
GoModule = Annotated[str, AfterValidator(_go_module)]
FolderPath = Annotated[str, AfterValidator(_folder)]
ObjectName = Annotated[str, AfterValidator(_object_name)]
Omission = Annotated[str, AfterValidator(_omission)]
LabelKey = Annotated[str, AfterValidator(_label_key)]
VariableName = Annotated[str, AfterValidator(_variable)]
Why = Annotated[str, Field(min_length=12)]
Port = Annotated[int, Field(ge=1, le=65535)]
Cpu = Annotated[str, AfterValidator(cpu)]
Memory = Annotated[str, AfterValidator(memory)]
