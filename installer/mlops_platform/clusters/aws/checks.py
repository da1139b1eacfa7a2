"""The preflight checks of an AWS account, all at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from mlops_platform.adapters.helm.versions import pinned
from mlops_platform.base.errors import PlatformError
from mlops_platform.clusters.aws import prices, quotas
from mlops_platform.clusters.aws.options import KUBERNETES, GpuPool, Options, SystemPool
from mlops_platform.clusters.aws.session import Session, asking
from mlops_platform.clusters.aws.state.bucket import ENVIRONMENT_TAG, StateBucket
from mlops_platform.clusters.base import Check

Question = Callable[[], Check]
_CREDENTIALS, _SKEW = "credentials", "helm and kubernetes"
# By id, because the letter of a zone differs between accounts.
# https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
_WITHOUT_EKS = frozenset({"use1-az3", "usw1-az2", "cac1-az3"})


def all_checks(session: Session, environment: str, options: Options) -> tuple[Check, ...]:
    """Run all checks; without valid credentials the others are skipped."""
    who = asked(_CREDENTIALS, partial(_credentials, session))
    questions = _questions(session, environment, options)
    if who.status != "ok":
        skipped = (
            Check(n, "skipped", "not asked") if n != _SKEW else asked(n, q) for n, q in questions.items()
        )
        return (Check(who.name, "failure", "none are valid", who.why, who.fix), *skipped)
    with ThreadPoolExecutor(len(questions)) as pool:
        return (who, *pool.map(asked, questions, questions.values()))


def asked(name: str, question: Question) -> Check:
    """Run one check; an error of AWS is a warning, with its answer."""
    try:
        return question()
    except PlatformError as error:
        return Check(name, "warning", "no answer", error.why or error.what, error.hint or error.command)


def _questions(session: Session, environment: str, options: Options) -> dict[str, Question]:
    """The checks by name, in the order of the screen."""
    nats = {"none": 0, "one": 1}.get(options.nat, len(options.three_zones))
    found: dict[str, Question] = {
        "region": partial(_region, session),
        "zones": partial(_zones, session, options),
        "kubernetes": partial(_kubernetes, session, f"mlops-{environment}", options.version or KUBERNETES),
        _SKEW: partial(_helm, options.version or KUBERNETES),
    }
    for name, pool in options.pools.items():
        zones = pool.zones or options.three_zones
        found[f"pool {name}"] = partial(_offers, session, name, pool, zones)
    for need in quotas.needs(options):
        found[need.name] = partial(quotas.vcpus, session, environment, need)
    if nats:
        found["elastic IPs"] = partial(quotas.addresses, session, environment, nats)
    else:
        found["way out"] = _way_out
    if not options.allowed_cidrs:
        found["API server"] = partial(_private, options)
    found["VPCs"] = partial(quotas.networks, session, environment)
    found["state bucket"] = partial(_state_bucket, session, environment)
    return found


def _credentials(session: Session) -> Check:
    caller = session.caller
    return Check(_CREDENTIALS, "ok", f"account {caller.account}, {caller.name}")


def _way_out() -> Check:
    """https://docs.aws.amazon.com/eks/latest/userguide/private-clusters.html"""
    why = "nodes join and pull images through it; without another route they never become Ready"
    fix = "nat: one, or endpoints for autoscaling, ec2, ecr.api, ecr.dkr, eks, eks-auth, sts before nodes"
    return Check("way out", "warning", "none", why, fix)


def _private(options: Options) -> Check:
    """Warn about a private endpoint: `up` can continue only once the new VPC is connected."""
    why = "the endpoint is reachable only from the VPC, which must first be created and connected"
    fix = "set allowed_cidrs; or let the first `up` fail there, connect the VPC, and run `up` again"
    if not options.other_networks:
        fix += "; list your networks in other_networks"
    return Check("API server", "warning", "private", why, fix)


def _region(session: Session) -> Check:
    with asking("ec2 describe-regions --all-regions"):
        regions = session.client("ec2").describe_regions(AllRegions=True)["Regions"]
    status = {r["RegionName"]: r.get("OptInStatus", "opt-in-not-required") for r in regions}.get(
        session.region
    )
    if status is None:
        return Check("region", "failure", session.region, "there is no such region", "correct cluster.region")
    if status == "not-opted-in":
        fix = f"aws account enable-region --region-name {session.region}"
        return Check("region", "failure", session.region, "not enabled in this account", fix)
    return Check("region", "ok", session.region)


def _zones(session: Session, options: Options) -> Check:
    wanted = options.three_zones
    with asking("ec2 describe-availability-zones"):
        found = session.client("ec2").describe_availability_zones()["AvailabilityZones"]
    state = {zone["ZoneName"]: zone["State"] for zone in found}
    closed = [z["ZoneName"] for z in found if z["ZoneName"] in wanted and z["ZoneId"] in _WITHOUT_EKS]
    seen = ", ".join(wanted)
    missing = [zone for zone in wanted if zone not in state]
    if missing:
        fix = f"set cluster.zones to three of {', '.join(sorted(state))}"
        return Check("zones", "failure", seen, f"this account has no {', '.join(missing)}", fix)
    if closed:
        fix = f"set cluster.zones to three of {', '.join(sorted(state.keys() - set(closed)))}"
        return Check("zones", "failure", seen, f"EKS has no control plane in {', '.join(closed)}", fix)
    ill = [f"{zone} is {state[zone]}" for zone in wanted if state[zone] != "available"]
    return Check("zones", "warning" if ill else "ok", seen, ", ".join(ill))


def _offers(session: Session, pool: str, asked: SystemPool | GpuPool, zones: Sequence[str]) -> Check:
    """Check that the zones offer the instance type: otherwise EKS creates no node group there.

    https://github.com/eksctl-io/eksctl/issues/6461
    """
    line, name = f"pool {pool}", asked.instance_type
    where = "system_pool.zones" if pool == "system" else f"gpu_pools.{pool}.zones"
    filters = [{"Name": "instance-type", "Values": [name]}]
    with asking(f"ec2 describe-instance-type-offerings --location-type availability-zone ({name})"):
        offers = session.pages(
            "ec2",
            "describe_instance_type_offerings",
            "InstanceTypeOfferings",
            LocationType="availability-zone",
            Filters=filters,
        )
        everywhere = sorted({offer["Location"] for offer in offers})
    here = [zone for zone in zones if zone in everywhere]
    if not everywhere:
        fix = "choose another instance type or region"
        return Check(line, "failure", f"no {name}", f"{session.region} does not have it", fix)
    if not here:
        fix = f"set cluster.zones to some of {', '.join(everywhere)}"
        return Check(line, "failure", f"{name} in {', '.join(everywhere)}", f"not in {', '.join(zones)}", fix)
    seen = f"{name} in {', '.join(here)}"
    wrong = _size(session, name, asked.gpu_count) if isinstance(asked, GpuPool) else ""
    if wrong:
        return Check(line, "failure", seen, wrong, "correct the pool's gpu_count or instance_type")
    missing = [zone for zone in zones if zone not in here]
    if missing:
        return Check(
            line, "failure", seen, f"not in {', '.join(missing)}", f"set {where} to [{', '.join(here)}]"
        )
    return Check(line, "ok", seen)


def _size(session: Session, name: str, gpus: int) -> str:
    """Compare the number of GPUs; AWS is asked only about types that our table lacks."""
    if name in prices.table().types:
        return ""
    with asking(f"ec2 describe-instance-types --instance-types {name}"):
        found = session.client("ec2").describe_instance_types(InstanceTypes=[name])["InstanceTypes"]
    there = sum(g["Count"] for each in found for g in each.get("GpuInfo", {}).get("Gpus", ()))
    return "" if there == gpus else f"it has {there} GPUs, not {gpus}"


def _kubernetes(session: Session, cluster: str, wanted: str) -> Check:
    """Check that EKS offers the version, and that the cluster can upgrade to it."""
    running = _running(session, cluster)
    if running and running != wanted:
        step = _minor(wanted) - _minor(running)
        seen = f"{running}, wanted {wanted}"
        if step < 0:
            return Check(
                "kubernetes", "failure", seen, "EKS has no downgrade", f"set cluster.version to '{running}'"
            )
        if step > 1:
            fix = f"set cluster.version to '1.{_minor(running) + 1}' first"
            return Check("kubernetes", "failure", seen, "EKS upgrades by one minor version at a time", fix)
    with asking("eks describe-cluster-versions"):
        found = session.pages("eks", "describe_cluster_versions", "clusterVersions", includeAll=True)
        status = {each["clusterVersion"]: each.get("versionStatus", "") for each in found}
    standard = [version for version, state in status.items() if state == "STANDARD_SUPPORT"]
    fix = f"set cluster.version to one of {', '.join(sorted(standard, key=_minor))}"
    if status.get(wanted, "UNSUPPORTED") == "UNSUPPORTED":
        return Check("kubernetes", "failure", wanted, "EKS does not offer it", fix)
    if wanted not in standard:
        return Check(
            "kubernetes", "warning", wanted, "in extended support: the control plane costs more", fix
        )
    return Check("kubernetes", "ok", wanted)


def _running(session: Session, cluster: str) -> str:
    """The current version of the cluster; '' when there is none."""
    said = session.ask("eks", "describe_cluster", name=cluster)
    return str(said["cluster"]["version"]) if said else ""


def _helm(wanted: str) -> Check:
    helm = pinned()
    seen = f"Helm {helm.version}, Kubernetes {wanted}"
    if helm.suits(_minor(wanted)):
        return Check(_SKEW, "ok", seen)
    why = f"this Helm supports 1.{helm.oldest} to 1.{helm.newest}"
    return Check(_SKEW, "warning", seen, why, f"set cluster.version to '1.{helm.oldest}' or newer")


def _minor(version: str) -> int:
    found = re.fullmatch(r"1\.(\d+)", version)
    return int(found[1]) if found else 0


def _state_bucket(session: Session, environment: str) -> Check:
    """Check that the bucket name, which is unique in all of AWS, is free or already ours."""
    bucket = StateBucket(session, environment)
    try:
        there = bucket.exists()
    except PlatformError as error:
        fix = "choose another name for the environment"
        return Check(
            "state bucket", "failure", bucket.name, f"it belongs to another account ({error.what})", fix
        )
    if not there:
        return Check("state bucket", "ok", f"{bucket.name}: free")
    owner = bucket.tags().get(ENVIRONMENT_TAG)
    if owner == environment:
        return Check("state bucket", "ok", f"{bucket.name}: ours")
    why = f"it exists without the tag of this environment ({ENVIRONMENT_TAG}: {owner or 'none'})"
    fix = "choose another name for the environment, or delete that bucket by hand"
    return Check("state bucket", "failure", bucket.name, why, fix)
