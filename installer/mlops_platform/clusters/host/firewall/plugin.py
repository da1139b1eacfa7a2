"""The last CNI plugin of the chain: it holds the start of a pod until the firewall's rules have its address.

Runs as `python -ISs`, with modules of the standard library that load fast, because its start is part of
the start of every pod. Configuration: https://www.cni.dev/docs/spec (version 0.4.0).
"""

import json
import os
import socket
import sys

SECONDS = 20  # longer than the agent waits, to get its reason; shorter than kubelet waits for a sandbox
FAILED = 100  # lower codes are reserved by the specification


def main() -> int:
    command = os.environ["CNI_COMMAND"]
    if command == "VERSION":
        say({"cniVersion": "0.4.0", "supportedVersions": ["0.3.1", "0.4.0"]})
        return 0
    configuration = json.load(sys.stdin)
    if command != "ADD":  # DEL, CHECK: the watch of pods reports the end of an address
        return 0
    result = configuration["prevResult"]
    failure = ask(configuration["socket"], admission_request(result["ips"][0]["address"]))
    if failure:
        say({"cniVersion": configuration["cniVersion"], "code": FAILED, "msg": "firewall: " + failure})
        return 1
    say(result)
    return 0


def admission_request(network: str) -> dict[str, str]:
    """Return the request to the agent. Kubernetes runtimes name the pod in CNI_ARGS."""
    given = dict(pair.split("=", 1) for pair in os.environ["CNI_ARGS"].split(";") if "=" in pair)
    return {
        "act": "admit",
        "namespace": given["K8S_POD_NAMESPACE"],
        "name": given["K8S_POD_NAME"],
        "uid": given["K8S_POD_UID"],
        "address": network.split("/")[0],
    }


def ask(path: str, question: dict[str, str]) -> str:
    """Return '' when the pod may start, else the reason. A restarting agent answers a little later."""
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
