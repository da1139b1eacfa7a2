"""YAML: read strictly what people write, as Kubernetes what is for it; write what every reader agrees on."""

from mlops_platform.base.yaml.document import (
    Document,
    kubernetes_objects,
    load,
    load_documents,
    load_kubernetes,
    parse,
    read_text,
)
from mlops_platform.base.yaml.model import RENAMED, Strict, check
from mlops_platform.base.yaml.write import dump, dump_all

__all__ = [
    "RENAMED",
    "Document",
    "Strict",
    "check",
    "dump",
    "dump_all",
    "kubernetes_objects",
    "load",
    "load_documents",
    "load_kubernetes",
    "parse",
    "read_text",
]
