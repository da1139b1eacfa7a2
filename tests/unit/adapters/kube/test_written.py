"""Writes of objects whose webhook does not answer yet."""

from __future__ import annotations

import pytest
from mlops_platform.adapters.kube import KubeError, webhooks

REFUSED = 'failed calling webhook "validator.example.com": dial tcp 10.0.0.1:443: connect: connection refused'


def test_write_is_sent_again_until_the_webhook_answers() -> None:
    failures, seen = [KubeError("PATCH: 500", status=500, why=REFUSED)], list[str]()

    def write() -> None:
        if failures:
            raise failures.pop()

    webhooks.written(write, "objects of fans", say=seen.append, hint="look", command="kubectl get pods")
    assert (failures, seen) == ([], ["the webhook of objects of fans does not answer: connection refused"])


@pytest.mark.parametrize(
    ("status", "why"), [(400, f"denied: {REFUSED}"), (500, "etcdserver: request timed out")]
)
def test_other_answers_are_errors_at_once(status: int, why: str) -> None:
    def write() -> None:
        raise KubeError("PATCH", status=status, why=why)

    with pytest.raises(KubeError) as caught:
        webhooks.written(write, "objects of fans", hint="look", command="kubectl get pods")
    assert caught.value.status == status
