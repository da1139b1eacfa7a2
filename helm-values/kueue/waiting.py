"""Says why a job waits in a queue."""

from __future__ import annotations

from apiserver import NotYetError, items

API = "kueue.x-k8s.io/v1beta2"


def reason(name: str) -> str:
    """Why a job of this name waits, in Kueue's words. Raises NotYetError before Kueue reports it."""
    found = [w for w in items(API, "workloads") if w["metadata"]["ownerReferences"][0]["name"] == name]
    conditions = [c for w in found for c in w.get("status", {}).get("conditions") or []]
    for each in conditions:
        if (each["type"], each["status"]) == ("QuotaReserved", "False"):
            return str(each["message"])
    raise NotYetError(f"{name}: {conditions}")
