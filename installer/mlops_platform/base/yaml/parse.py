"""Parse YAML into plain data, with the line of every key, within limits of depth and number of values."""

from __future__ import annotations

from yaml import YAMLError

from mlops_platform.base.errors import Problem
from mlops_platform.base.yaml.build import Builder, DocumentsBuilder, KubernetesBuilder
from mlops_platform.base.yaml.scalars import core, kubernetes
from mlops_platform.base.yaml.tree import Fatal, Tree

MOST_VALUES = 100_000
_HINTS = (
    ("cannot start any token", "put the text in quotes; indent with spaces, not with tabs"),
    ("mapping values are not allowed", "check the indentation; put text with ': ' in quotes"),
    ("did not find expected key", "check the indentation"),
    ("did not find expected '-' indicator", "check the indentation"),
    ("could not find expected ':'", "write key: value"),
    ("unexpected end of stream", "close the quote"),
    ("expected <document start>", "check the indentation; write one document"),
    ("control characters", "remove the character, or write it as an escape in double quotes"),
)


def strict(text: str, file: str) -> Tree:
    """Parse one document that a person wrote."""
    return _parsed(text, Builder(Tree(file), core, MOST_VALUES))


def strict_documents(text: str, file: str) -> Tree:
    """Parse documents that a person wrote; the place of each value begins with its document's number."""
    return _parsed(text, DocumentsBuilder(Tree(file), core, MOST_VALUES))


def as_kubernetes(text: str, file: str, most: int) -> Tree:
    """Parse documents as Kubernetes does: YAML 1.1 without base 60; the last of equal keys wins."""
    return _parsed(text, KubernetesBuilder(Tree(file), kubernetes, most))


def _parsed(text: str, builder: Builder) -> Tree:
    tree = builder.tree
    try:
        builder.build(text)
    except Fatal:
        pass
    except YAMLError as error:
        tree.problems.append(_syntax(tree.file, text, error))
    except UnicodeEncodeError as error:
        tree.problems.append(Problem(tree.file, text.count("\n", 0, error.start) + 1, "not YAML: not UTF-8"))
    else:
        return tree
    tree.documents.clear()
    return tree


def _syntax(file: str, text: str, error: YAMLError) -> Problem:
    """libyaml's words, with a hint; it gives no mark for a character that YAML does not have, only a byte."""
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    if mark := getattr(error, "problem_mark", None):
        line = mark.line + 1
    else:
        line = text.encode().count(b"\n", 0, getattr(error, "position", None) or 0) + 1
    hint = next((hint for part, hint in _HINTS if part in what), "")
    start = getattr(error, "context_mark", None)
    if not hint and start and (context := getattr(error, "context", None)):
        hint = f"{context}, which begins in line {start.line + 1}"
    return Problem(file, line, f"not YAML: {what}", hint)
