"""Owns asking the tag index, which knows every service's objects: the second witness of an inventory."""

from __future__ import annotations

from collections.abc import Iterator

from installer.clusters.aws.session import Session
from installer.clusters.aws.state_bucket import ENVIRONMENT_TAG
from installer.clusters.aws.sweeps.kind import tags_of


def tagged(session: Session, environment: str = "", *types: str) -> Iterator[tuple[str, dict[str, str]]]:
    """ARN and tags of what carries our tag: of one environment, or of all with ''; of types such as 's3'.

    https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html: it lags
    behind, and goes on listing what is deleted for a while.
    """
    wanted = {"Key": ENVIRONMENT_TAG, **({"Values": [environment]} if environment else {})}
    for raw in session.pages(
        "resourcegroupstaggingapi",
        "get_resources",
        "ResourceTagMappingList",
        TagFilters=[wanted],
        **({"ResourceTypeFilters": list(types)} if types else {}),
    ):
        yield raw["ResourceARN"], tags_of(raw)


def split(arn: str) -> tuple[str, str]:
    """'arn:aws:ec2:eu-central-1:1:volume/vol-1' -> ('ec2:volume/vol-1', 'vol-1')"""
    _, _, service, _, _, rest = arn.split(":", 5)
    return f"{service}:{rest}", rest.replace(":", "/").rsplit("/", 1)[-1]


def partition(region: str) -> str:
    """The second word of every ARN of a region."""
    return "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"


def suffix(region: str) -> str:
    """How the names of a region's services end."""
    return "amazonaws.com.cn" if partition(region) == "aws-cn" else "amazonaws.com"
