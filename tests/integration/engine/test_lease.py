"""The Lease lock on a real API server: one holder, heartbeat, takeover."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import LockedError
from mlops_platform.run.lock import EXPIRES_SECONDS, HEARTBEAT_SECONDS, LEASE, NAMESPACE, Holder, LeaseLock

pytestmark = pytest.mark.integration
KEY = ("coordination.k8s.io/v1", "Lease", LEASE, NAMESPACE)
ELSEWHERE = Holder("elsewhere", "eva", 7, 7, "mlops-platform up", "2026-11-24T10:00:00+00:00")


@pytest.fixture(autouse=True)
def free(kube: Kube) -> Iterator[None]:
    yield
    kube.delete(*KEY)


def lock(kube: Kube, cancel: Cancel | None = None) -> LeaseLock:
    return LeaseLock(kube, "test", "mlops-platform up", cancel or Cancel())


def hold(kube: Kube, holder: Holder, age: timedelta) -> None:
    """Write a Lease of another run."""
    renewed = (datetime.now(UTC) - age).isoformat(timespec="microseconds").replace("+00:00", "Z")
    spec = {"holderIdentity": json.dumps(asdict(holder)), "leaseDurationSeconds": 20, "renewTime": renewed}
    meta = {"name": LEASE, "namespace": NAMESPACE}
    kube.apply({"apiVersion": KEY[0], "kind": KEY[1], "metadata": meta, "spec": spec})


def renewed(kube: Kube) -> str:
    found = kube.get(*KEY)
    assert found
    return str(found["spec"].get("renewTime", ""))


def test_lease_is_acquired_renewed_and_released(kube: Kube) -> None:
    held = lock(kube)
    assert held.acquire() == ""
    first = renewed(kube)
    wait_until(
        "a heartbeat",
        lambda: renewed(kube) != first or Pending("the same"),
        seconds=HEARTBEAT_SECONDS * 3,
    )
    held.release()
    assert renewed(kube) == ""
    assert lock(kube).acquire() == ""


def test_live_holder_elsewhere_is_an_error_with_its_name(kube: Kube) -> None:
    lock(kube).acquire()  # creates the namespace
    hold(kube, ELSEWHERE, timedelta(seconds=EXPIRES_SECONDS - 5))
    with pytest.raises(LockedError, match="eva@elsewhere"):
        lock(kube).acquire()


@pytest.mark.parametrize(
    ("holder", "age"),
    [
        (ELSEWHERE, timedelta(seconds=EXPIRES_SECONDS + 5)),
        (replace(Holder.me("up"), start_ticks=1), timedelta(0)),
    ],
    ids=["silent", "died on this host"],
)
def test_dead_holder_is_replaced_with_a_note(kube: Kube, holder: Holder, age: timedelta) -> None:
    lock(kube).acquire()
    hold(kube, holder, age)
    held = lock(kube)
    assert str(holder) in held.acquire()
    held.release()


def test_lost_lease_stops_the_run(kube: Kube) -> None:
    cancel = Cancel()
    held = lock(kube, cancel)
    held.acquire()
    hold(kube, ELSEWHERE, timedelta(0))
    wait_until("the stop", lambda: cancel.requested or Pending("runs on"), seconds=HEARTBEAT_SECONDS * 3)
    assert "eva@elsewhere" in held.lost
    held.release()
    assert renewed(kube), "the other holder's Lease must stay"
