"""Write YAML that means the same in YAML 1.1, in YAML 1.2 and to Kubernetes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from mlops_platform.base.yaml.scalars import BadScalar, core, kubernetes

# Line breaks of YAML 1.1 only, and characters that some readers refuse.
_UNUSUAL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True  # a value that is used twice is written twice


def _represent(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    """Quote what any reader takes for another type; PyYAML by itself quotes for YAML 1.1 as it reads it."""
    style = '"' if _UNUSUAL.search(text) else "'" if _ambiguous(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _ambiguous(text: str) -> bool:
    try:
        return core(text) is not text or kubernetes(text) is not text
    except BadScalar:
        return True


_Dumper.add_representer(str, _represent)
_Dumper.add_multi_representer(str, _represent)


def dump(data: Mapping[str, Any]) -> str:
    return dump_all([data])


def dump_all(documents: Iterable[Mapping[str, Any]]) -> str:
    """Write documents with `---` between them, keys in their order."""
    text: str = yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text
