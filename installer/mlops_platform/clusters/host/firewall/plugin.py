"""Owns the CNI plugin that stands behind the others: no pod starts before the firewall's rules know it.

Runs alone, as `python -ISs` with nothing but built-in modules at hand that are quick to load: its start is
part of every pod's. Configuration: https://www.cni.dev/docs/spec (version 0.4.0).
"""

import json
import os
import socket
import sys

SECONDS = 20  # longer than the agent takes to say why not, shorter than kubelet waits for a sandbox
FAILED = 100  # below are the specification's own codes


def main() -> int:
    command = os.environ["CNI_COMMAND"]
    if command == "VERSION":
        say({"cniVersion": "0.4.0", "supportedVersions": ["0.3.1", "0.4.0"]})
        return 0
    configuration = json.load(sys.stdin)
    if command != "ADD":  # DEL, CHECK: an address ends with its pod, as the API server tells
        return 0
    result = configuration["prevResult"]
    failure = ask(configuration["socket"], newcomer(result["ips"][0]["address"]))
    if failure:
        say({"cniVersion": configuration["cniVersion"], "code": FAILED, "msg": "firewall: " + failure})
        return 1
    say(result)
    return 0


def newcomer(network: str) -> dict[str, str]:
    """What the agent needs to know of the pod; CNI_ARGS as Kubernetes' runtimes give it."""
    given = dict(pair.split("=", 1) for pair in os.environ["CNI_ARGS"].split(";") if "=" in pair)
    return {
        "act": "admit",
        "namespace": given["K8S_POD_NAMESPACE"],
        "name": given["K8S_POD_NAME"],
        "uid": given["K8S_POD_UID"],
        "address": network.split("/")[0],
    }


def ask(path: str, question: dict[str, str]) -> str:
    """'' once the pod may start. An agent that is being started again answers a little later."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
            agent.settimeout(SECONDS)
            agent.connect(path)
            agent.sendall(json.dumps(question).encode() + b"\n")
            answer = agent.makefile("rb").readline()
    except OSError as error:
        return f"the agent does not answer: {error}"
    return str(json.loads(answer)["failure"]) if answer else "the agent ended before it answered"


def say(document: object) -> None:
    sys.stdout.write(json.dumps(document))


if __name__ == "__main__":
    raise SystemExit(main())
