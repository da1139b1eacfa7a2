"""Smoke test of metrics-server: metrics of nodes and pods, for accounts with the right to read them."""

from __future__ import annotations

import os
import ssl
import sys
from urllib.error import HTTPError
from urllib.request import urlopen

from apiserver import NotYetError, Refused, call
from probes import Probes, patiently

API = "/apis/metrics.k8s.io/v1beta1"
OWN = os.environ["NAMESPACE"]


def measured(path: str) -> None:
    """Raise NotYetError until there are metrics, with more than no CPU and memory in all."""
    found = call("GET", API + path)["items"]
    parts = [usage for each in found for usage in each.get("containers", [each])]
    if not parts:
        raise NotYetError(f"{path}: no metrics yet")
    for resource in ("cpu", "memory"):
        assert any(part["usage"][resource] not in ("0", "") for part in parts), parts


def without_token() -> None:
    """Ask metrics-server itself. Nothing secret is sent, so any certificate will do."""
    anyone = ssl.create_default_context()
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    with urlopen(f"{os.environ['URL']}{API}/nodes", timeout=10, context=anyone):  # noqa: S310 - https
        pass


def probe(probes: Probes) -> None:
    read(probes)
    with probes.refused("metrics, to a request without a token", Refused, "401", "403"):
        call("GET", f"{API}/nodes", token=False)
    with probes.refused("metrics, to a pod that asks metrics-server itself", HTTPError, "401", "403"):
        without_token()
    with probes.refused("the pods of another namespace, to the account of the test", Refused, "403"):
        call("GET", f"/api/v1/namespaces/{OWN}/pods")


def read(probes: Probes) -> None:
    # After its start it has none before its second visit to the kubelets, 15 s after the first.
    with probes.works("the API server has metrics of nodes"):
        patiently(lambda: measured("/nodes"), NotYetError, Refused)
    with probes.works("the API server has metrics of pods"):
        patiently(lambda: measured(f"/namespaces/{OWN}/pods"), NotYetError, Refused)


if __name__ == "__main__":
    running = Probes()
    for act in sys.argv[1:]:
        {"probe": probe, "write": lambda _: None, "read": read}[act](running)
    running.end()
