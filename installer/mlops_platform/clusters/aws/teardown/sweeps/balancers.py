"""Load balancers of all generations and their target groups, created by controllers in the cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mlops_platform.clusters.aws.ownership import Ownership
from mlops_platform.clusters.aws.session import Session
from mlops_platform.clusters.aws.teardown.sweeps.kind import Kind, Resource, tags_of, unless_gone, when

_AT_ONCE = 20  # the limit of DescribeTags in both services


def _find_classic(session: Session, ownership: Ownership) -> Iterator[Resource]:
    operation, key = "describe_load_balancers", "LoadBalancerDescriptions"
    found = {raw["LoadBalancerName"]: raw for raw in session.pages("elb", operation, key)}

    def tags(names: list[str]) -> Any:
        return session.client("elb").describe_tags(LoadBalancerNames=names)

    for said in _described(tags, found):
        raw = found[said["LoadBalancerName"]]
        zones = ", ".join(sorted(raw["AvailabilityZones"]))
        yield Resource(raw["LoadBalancerName"], tags_of(said), "classic", zones, raw["CreatedTime"])


def _tagged(
    session: Session, operation: str, key: str, id_key: str, **of: str
) -> Iterator[tuple[Any, dict[str, str]]]:
    found = {raw[id_key]: raw for raw in session.pages("elbv2", operation, key, **of)}

    def tags(arns: list[str]) -> Any:
        return session.client("elbv2").describe_tags(ResourceArns=arns)

    for said in _described(tags, found):
        yield found[said["ResourceArn"]], tags_of(said)


def _find_second(session: Session, ownership: Ownership) -> Iterator[Resource]:
    found = _tagged(session, "describe_load_balancers", "LoadBalancers", "LoadBalancerArn")
    for raw, tags in found:
        zones = ", ".join(sorted(zone["ZoneName"] for zone in raw["AvailabilityZones"]))
        about = f"{raw['Type']} {raw['LoadBalancerName']}"
        yield Resource(raw["LoadBalancerArn"], tags, about, zones, when(raw.get("CreatedTime")))


def _find_targets(session: Session, ownership: Ownership) -> Iterator[Resource]:
    found = _tagged(session, "describe_target_groups", "TargetGroups", "TargetGroupArn")
    for raw, tags in found:
        about = f"{raw.get('Protocol', '')} {raw['TargetGroupName']}".strip()
        yield Resource(raw["TargetGroupArn"], tags, about)


def _find_listeners(session: Session, ownership: Ownership) -> Iterator[Resource]:
    """Listeners: they go with their load balancer, but have their own tags and price."""
    balancers = session.pages("elbv2", "describe_load_balancers", "LoadBalancers")
    for balancer in balancers:
        of = {"LoadBalancerArn": balancer["LoadBalancerArn"]}
        with unless_gone():
            for raw, tags in _tagged(session, "describe_listeners", "Listeners", "ListenerArn", **of):
                about = f"{raw.get('Protocol', '')} {raw.get('Port', '')} of {balancer['LoadBalancerName']}"
                yield Resource(raw["ListenerArn"], tags, about)


def _described(tags: Callable[[list[str]], Any], found: Mapping[str, Any]) -> Iterator[Any]:
    """Read tags in batches of DescribeTags' limit.

    One deleted object fails its whole batch; then the tags are read one by one.
    """
    names = list(found)
    for batch in (names[i : i + _AT_ONCE] for i in range(0, len(names), _AT_ONCE)):
        answer: Any = None
        with unless_gone():
            answer = tags(batch)
        if answer is not None:
            yield from answer["TagDescriptions"]
            continue
        for name in batch:
            with unless_gone():
                yield from tags([name])["TagDescriptions"]


def _delete_classic(session: Session, found: Resource, ownership: Ownership) -> None:
    session.client("elb").delete_load_balancer(LoadBalancerName=found.id)


def _delete_second(session: Session, found: Resource, ownership: Ownership) -> None:
    """Delete a load balancer; a deletion protection stays, because a user has set it."""
    session.client("elbv2").delete_load_balancer(LoadBalancerArn=found.id)


def _delete_listener(session: Session, found: Resource, ownership: Ownership) -> None:
    session.client("elbv2").delete_listener(ListenerArn=found.id)


def _delete_targets(session: Session, found: Resource, ownership: Ownership) -> None:
    session.client("elbv2").delete_target_group(TargetGroupArn=found.id)


LISTENERS = Kind("listener", _find_listeners, _delete_listener, "elasticloadbalancing:listener/", blocks=True)
BALANCERS = (
    LISTENERS,
    Kind("classic load balancer", _find_classic, _delete_classic, blocks=True),
    Kind("load balancer", _find_second, _delete_second, "elasticloadbalancing:loadbalancer/", blocks=True),
    Kind("target group", _find_targets, _delete_targets, "elasticloadbalancing:targetgroup/", blocks=True),
)
