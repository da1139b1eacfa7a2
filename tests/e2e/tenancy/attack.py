"""Send the requests of cases and print a line of JSON for each: status and text of its last answer."""

from __future__ import annotations

import base64
import http.client
import json
import sys
from pathlib import Path
from typing import Any

SERVER, SECRETS = "mlflow.mlflow.svc:5000", Path("/run/secrets")
FILLED = "<{}>"


def fill(value: Any, known: dict[str, str]) -> Any:
    """Replace <name> in every text of a tree."""
    if isinstance(value, dict):
        return {key: fill(each, known) for key, each in value.items()}
    if isinstance(value, list):
        return [fill(each, known) for each in value]
    for name, text in known.items():
        value = value.replace(FILLED.format(name), text) if isinstance(value, str) else value
    return value


def token(kind: str) -> str:
    """The Authorization header; `kind` is empty for the right one."""
    own = (SECRETS / "token/token").read_text().strip() if (SECRETS / "token/token").exists() else ""
    head, _, signature = own.rpartition(".")
    return {
        "": f"Bearer {own}" if own else "",
        "none": "",
        "nonsense": "Bearer nonsense",
        "basic": "Basic " + base64.b64encode(b"ada:password").decode(),
        "changed": f"Bearer {head}.{signature[::-1]}",
        "other-audience": f"Bearer {(SECRETS / 'identity/token').read_text().strip()}" if own else "",
    }[kind]


def headers(case: dict[str, Any]) -> list[tuple[str, str]]:
    found = [(name, value) for name, value in case.get("headers", [])]
    if "person" in case:
        name, _, groups = case["person"].partition(": ")
        found += [("X-Platform-Proxy", (SECRETS / "proxy/value").read_text())]
        found += [("X-Forwarded-User", name), ("X-Forwarded-Groups", groups)]
    elif value := token(case.get("token", "")):
        found.append(("Authorization", value))
    if case.get("workspace") and not any(name.upper() == "X-MLFLOW-WORKSPACE" for name, _ in found):
        found.append(("X-MLFLOW-WORKSPACE", case["workspace"]))
    return found


def send(request: Any, sent: list[tuple[str, str]]) -> tuple[int, str]:
    """Send a request as it is written: a client library would tidy its path."""
    line, body = (request, None) if isinstance(request, str) else request
    method, _, path = line.partition(" ")
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode() if body is not None else b""
    connection = http.client.HTTPConnection(SERVER, timeout=30)
    connection._validate_path = lambda url: None  # type: ignore[attr-defined]
    connection.putrequest(method, path, skip_accept_encoding=True)
    if body is not None:
        connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(data)))
    for name, value in sent:
        connection.putheader(name, value)
    connection.endheaders(data)
    answer = connection.getresponse()
    return answer.status, answer.read().decode("utf-8", "replace")


def run(case: dict[str, Any], known: dict[str, str]) -> tuple[int, str]:
    steps = case.get("steps") or [case["request"]]
    for i, step in enumerate(steps):
        request, keep = (step["request"], step["keep"]) if isinstance(step, dict) else (step, {})
        status, text = send(fill(request, known), headers(fill(case, known)))
        if status >= 400 and i < len(steps) - 1 and "registered-models/create" not in str(request):
            return status, text
        for name, place in keep.items():
            found: Any = json.loads(text)
            for key in place:
                found = found[key]
            known[name] = str(found)
    return status, text


def main() -> None:
    cases, values = json.loads(Path("/files/cases.json").read_text())
    for number, case in enumerate(cases):
        known = {**values, "n": str(number)}
        known |= fill(case.get("values", {}), known)
        status, text = run(case, known)
        line = {"name": case["name"], "status": status, "text": text[:4000]}
        sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
