"""The JSON Schema of component.yaml, and its reference page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlops_platform.base.yaml import RENAMED
from mlops_platform.catalogue.component import Component

_HEAD = """# component.yaml

<!-- generated: `pytest tests/unit/catalogue --update-golden` -->

Every key. [components.md](../components.md) explains them, `mlops-platform component new` writes an example,
and `mlops-platform component schema` prints the JSON Schema for editors.
"""


def schema() -> dict[str, Any]:
    """The JSON Schema of component.yaml, for editors."""
    result = Component.model_json_schema(by_alias=True)
    for each in (result, *result["$defs"].values()):
        each.pop(RENAMED, None)
    result["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    result["title"] = "mlops-platform component"
    return result


def page() -> str:
    """The reference page in Markdown: a table for the file, and one for each kind of mapping in it."""
    whole = schema()
    definitions = whole.pop("$defs")
    order = list(dict.fromkeys(_reached(whole, definitions)))
    parts = [_HEAD, _table(whole)]
    parts += [f"## {name}\n\n{_text(definitions[name])}\n\n{_table(definitions[name])}" for name in order]
    return "\n".join(parts)


def _reached(node: dict[str, Any], definitions: dict[str, Any]) -> Iterator[str]:
    for key in node["properties"].values():
        for name in _references(key):
            if "properties" in definitions[name]:
                yield name
                yield from _reached(definitions[name], definitions)


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"].rsplit("/", 1)[1]
        for each in node.values():
            yield from _references(each)
    elif isinstance(node, list):
        for each in node:
            yield from _references(each)


def _text(node: dict[str, Any]) -> str:
    """A docstring as paragraphs, without its line breaks."""
    paragraphs = node.get("description", "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _table(node: dict[str, Any]) -> str:
    rows = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    for name, key in node["properties"].items():
        default = "required" if name in node.get("required", ()) else _default(key)
        rows.append(f"| `{name}` | {_type(key)} | {default} | {key.get('description', '')} |")
    return "\n".join(rows) + "\n"


def _default(key: dict[str, Any]) -> str:
    value = key.get("default")
    if value is None or value == "" or isinstance(value, (dict, list)):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _type(key: dict[str, Any]) -> str:
    options = [each for each in key.get("anyOf", ()) if each.get("type") != "null"]
    if options:
        return _type(options[0])
    if "$ref" in key:
        name = key["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "enum" in key:
        return ", ".join(f"`{value}`" for value in key["enum"])
    if "const" in key:
        return f"`{key['const']}`"
    if key.get("type") == "array":
        return f"list of {_type(key['items'])}"
    if key.get("type") == "object":
        values = key.get("additionalProperties") or {}
        return "mapping" if values is True else f"mapping of {_type(values)}"
    return {"boolean": "true or false", "integer": "integer"}.get(key.get("type", ""), "text")
