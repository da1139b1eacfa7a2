"""The owner of an object, for all combinations of tags and record."""

from __future__ import annotations

import pytest
from mlops_platform.clusters.aws.ownership import Ownership, Verdict

OURS, UNKNOWN, OTHERS = Verdict.OURS, Verdict.UNKNOWN, Verdict.OTHERS
ENV, RUN = "mlops-platform/env", "mlops-platform/run"
RECORDED = Ownership("staging", "mlops-staging", frozenset({"r1", "r2"}))
LOST = Ownership("staging", "")
CASES = [
    ({}, OTHERS, OTHERS, OTHERS),
    ({"Name": "mlops-staging-x"}, OTHERS, OTHERS, OTHERS),
    ({ENV: "staging", RUN: "r1"}, OURS, OURS, UNKNOWN),
    ({ENV: "staging", RUN: "r9"}, UNKNOWN, UNKNOWN, UNKNOWN),
    ({ENV: "staging"}, OURS, UNKNOWN, UNKNOWN),
    ({ENV: "staging-2", RUN: "r1"}, OTHERS, OTHERS, OTHERS),
    ({"kubernetes.io/cluster/mlops-staging": "owned"}, OURS, OURS, OTHERS),
    ({"kubernetes.io/cluster/mlops-staging": "shared"}, OTHERS, OTHERS, OTHERS),
    ({"kubernetes.io/cluster/mlops-staging-2": "owned"}, OTHERS, OTHERS, OTHERS),
    ({"elbv2.k8s.aws/cluster": "mlops-staging"}, OURS, OURS, OTHERS),
    ({"elbv2.k8s.aws/cluster": "mlops-staging-2"}, OTHERS, OTHERS, OTHERS),
    # The tag of another environment has priority over tags of controllers.
    ({ENV: "prod", "kubernetes.io/cluster/mlops-staging": "owned"}, OTHERS, OTHERS, OTHERS),
]


@pytest.mark.parametrize(("tags", "here", "everywhere", "without_record"), CASES)
def test_owner_is_decided_by_tags_and_record(
    tags: dict[str, str], here: Verdict, everywhere: Verdict, without_record: Verdict
) -> None:
    assert RECORDED.verdict(tags) is here
    assert RECORDED.verdict(tags, everywhere=True) is everywhere
    assert LOST.verdict(tags) is without_record
