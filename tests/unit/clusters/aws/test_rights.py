"""The permissions in docs/aws.md have every call of the code, with its resources."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache

import botocore.session
from botocore import xform_name

from tests import ROOT

PREFIX = {
    "elb": "elasticloadbalancing",
    "elbv2": "elasticloadbalancing",
    "resourcegroupstaggingapi": "tag",
    "service-quotas": "servicequotas",
}
SERVICES = (
    *PREFIX, "autoscaling", "ec2", "ecr", "eks", "iam", "kms", "logs", "rds", "s3", "secretsmanager", "sts",
)  # fmt: skip
# The names of S3's permissions differ from its operations:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
RIGHT = {
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
}
# Calls before names are known, so on all resources.
OF_ALL = {
    "s3:ListAllMyBuckets",
    "eks:ListClusters",
    "eks:DescribeClusterVersions",
    "ecr:DescribeRepositories",
    "ecr:GetAuthorizationToken",
    "iam:ListRoles",
    "iam:ListOpenIDConnectProviderTags",
    "iam:GetInstanceProfile",
    "rds:DescribeDBInstances",
    "rds:DescribeDBSubnetGroups",
    "rds:ListTagsForResource",
}


def table() -> Iterator[tuple[str, str]]:
    """Yield the permissions of the table, such as ('any', 'ec2:Describe*')."""
    text = (ROOT / "docs/aws.md").read_text()
    section = text[text.index("## Permissions") : text.index("## Run the root by hand")]
    for row in re.findall(r"^\| (`.+) \| (.+) \| (.+) \|$", section, re.MULTILINE):
        for service in re.findall("`(.+?)`", row[0]):
            yield from ((row[1], f"{service}:{action}") for action in re.findall(r"`([A-Z*][\w*]*)`", row[2]))


@cache
def operations(service: str) -> dict[str, str]:
    model = botocore.session.get_session().get_service_model(service)
    return {xform_name(name): name for name in model.operation_names}


def called() -> set[str]:
    """Every word of a file that is an operation of a service in that file."""
    found: set[str] = set()
    for file in (ROOT / "installer/mlops_platform/clusters/aws").rglob("*.py"):
        nodes = list(ast.walk(ast.parse(file.read_text())))
        texts = {
            each.value for each in nodes if isinstance(each, ast.Constant) and isinstance(each.value, str)
        }
        starts = {text for text in texts if text in ("describe_", "delete_")}  # f"describe_{kind}"
        words = texts | {each.attr for each in nodes if isinstance(each, ast.Attribute)}
        words |= {start + text for start in starts for text in texts}
        for service in texts & set(SERVICES):
            names = operations(service)
            rights = (f"{PREFIX.get(service, service)}:{names[word]}" for word in words & names.keys())
            found |= {RIGHT.get(right, right) for right in rights}
    return found


def test_every_call_is_in_the_table() -> None:
    rights, calls = [right for _, right in table()], called()
    assert len(calls) > 80 and "eks:DeleteNodegroup" in calls
    assert [call for call in sorted(calls) if not any(fnmatchcase(call, right) for right in rights)] == []


def test_calls_on_all_resources_are_not_limited_to_our_names() -> None:
    rights = [right for on, right in table() if on == "any"]
    assert called() >= OF_ALL
    assert [call for call in sorted(OF_ALL) if not any(fnmatchcase(call, right) for right in rights)] == []
