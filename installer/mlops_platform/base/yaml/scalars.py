"""Types of plain YAML scalars: the strict core schema for people, the rules of Kubernetes for its objects."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

_CONSTANTS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_FIRST = frozenset(text[:1] for text in _CONSTANTS) | frozenset("+-.0123456789")
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
_MOST_DIGITS = 20  # 64 bits have 20 digits; Python needs minutes for a million
_LEAST, _MOST = -(2**63), 2**64 - 1  # what Kubernetes and Helm can hold

# The tables of go.yaml.in/yaml/v2 (resolve.go), which sigs.k8s.io/yaml and so Helm and kubectl use.
_KUBERNETES_CONSTANTS: dict[str, Any] = {
    **_CONSTANTS,
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "off", "Off", "OFF"), False),
}
_KUBERNETES_FIRST = frozenset(text[:1] for text in _KUBERNETES_CONSTANTS) | frozenset("+-.0123456789")
_KUBERNETES_INTEGER = re.compile(
    r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))(?![\s\S])"
)


class BadScalar(ValueError):
    """A scalar that has no value in JSON, or two in YAML; the text is "what | hint"."""


Resolve = Callable[[str], Any]


def core(text: str) -> Any:
    """The value of a plain scalar by YAML 1.2. Raises BadScalar if YAML 1.1 or JSON reads something else."""
    if text[:1] not in _FIRST:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _LEADING_ZERO.fullmatch(text):
        octal = f", or write {int(text, 8)}" if re.fullmatch("[-+]?[0-7]{1,20}", text) else ""
        raise BadScalar(f'{shown(text)}: an integer with a leading zero | write "{shown(text)}"{octal}')
    if _INTEGER.fullmatch(text):
        return _in_range(text)
    if _FLOAT.fullmatch(text):
        value = float(text)
        if math.isinf(value):
            raise BadScalar(f"{shown(text)}: a number too large | put text in quotes")
        return value
    if _SPECIAL.fullmatch(text):
        raise BadScalar(f"{text}: not a number that JSON has | put text in quotes")
    return text


def _in_range(text: str) -> int:
    value = int(text, 0) if len(text) <= _MOST_DIGITS + 2 else _MOST + 1
    if not _LEAST <= value <= _MOST:
        raise BadScalar(f"{shown(text)}: an integer of more than 64 bits | put text in quotes")
    return value


def kubernetes(text: str) -> Any:
    """The value of a plain scalar as Kubernetes and Helm read it: 0644 is 420, a date is text."""
    if text[:1] not in _KUBERNETES_FIRST:
        return text
    if text in _KUBERNETES_CONSTANTS:
        return _KUBERNETES_CONSTANTS[text]
    plain = text.replace("_", "")
    if len(plain) <= 70 and (found := _KUBERNETES_INTEGER.match(plain)):
        sign, hexadecimal, binary, octal, decimal = found.groups()
        digits, base = next(
            (d, b) for d, b in ((hexadecimal, 16), (binary, 2), (octal, 8), (decimal, 10)) if d is not None
        )
        integer = int(sign + digits, base)
        if _LEAST <= integer <= _MOST:
            return integer
    if _FLOAT.fullmatch(plain):
        value = float(plain)
        return text if math.isinf(value) else value
    if _SPECIAL.fullmatch(text):
        raise BadScalar(f"{text}: not a number that JSON has | put text in quotes")
    return text


def shown(text: str, most: int = 40) -> str:
    """The beginning of a text, for a message."""
    return text if len(text) <= most else f"{text[:most]}…"
