"""The tag index, which lists the objects of every service."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mlops_platform.clusters.aws.ownership import Ownership
from mlops_platform.clusters.aws.session import Session
from mlops_platform.clusters.aws.state.bucket import ENVIRONMENT_TAG
from mlops_platform.clusters.aws.teardown.sweeps.kind import tags_of


def tagged(session: Session, environment: str = "", *types: str) -> Iterator[tuple[str, dict[str, str]]]:
    """ARN and tags of objects with our tag: of one environment, or of all with ''; of types such as 's3'.

    https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html: it lags
    behind, and lists deleted objects for a while.
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


def worth_asking(session: Session, ownership: Ownership, type: str) -> Callable[[str], bool]:
    """A predicate: the name has our prefix or is in the index, so its tags are worth reading.

    A role with rights only on `mlops-*` may not describe other objects, so another cluster in the account
    would end every inventory.
    """
    indexed = {_name(arn) for arn, _ in tagged(session, ownership.environment, type)}
    start = f"mlops-{ownership.environment}"
    return lambda name: name == start or name.startswith(f"{start}-") or name in indexed


def _name(arn: str) -> str:
    """The name after the type, if there is one; a repository's name may contain a '/'."""
    rest = arn.split(":", 5)[5]
    return rest.partition("/")[2] or rest


def split(arn: str) -> tuple[str, str]:
    """Split 'arn:aws:ec2:eu-central-1:1:volume/vol-1' into ('ec2:volume/vol-1', 'vol-1')"""
    _, _, service, _, _, rest = arn.split(":", 5)
    return f"{service}:{rest}", rest.replace(":", "/").rsplit("/", 1)[-1]


def partition(region: str) -> str:
    """The partition of a region: the second word of its ARNs."""
    return "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"


def suffix(region: str) -> str:
    """The domain suffix of a region's services."""
    return "amazonaws.com.cn" if partition(region) == "aws-cn" else "amazonaws.com"
