"""Owns AwsProvider: what the rest of the house asks of an EKS cluster, answered by this folder's parts."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_platform.adapters.programs import Program, Programs
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import StepError
from mlops_platform.base.files import write_private
from mlops_platform.base.paths import Paths
from mlops_platform.base.progress import Progress
from mlops_platform.clusters.aws import credentials, pool_sizes
from mlops_platform.clusters.aws.cost import cost as worth
from mlops_platform.clusters.aws.options import KUBERNETES, NODE_POOLS, OBJECT_STORE, SQL, ZONES, Options
from mlops_platform.clusters.aws.session import Session, elsewhere, session_of
from mlops_platform.clusters.aws.state.bucket import StateBucket
from mlops_platform.clusters.aws.state.record import Keeping
from mlops_platform.clusters.aws.state.remote import RemoteState
from mlops_platform.clusters.base import Check, ClusterAccess, Leftover, Network, Retain
from mlops_platform.clusters.managed import Given, Server

if TYPE_CHECKING:
    from mlops_platform.adapters.registry import Registry
    from mlops_platform.adapters.terraform.changes import Change
    from mlops_platform.clusters.aws.teardown.teardown import Teardown
    from mlops_platform.clusters.bill import Bill

STORAGE_CLASS = "gp3"


@dataclass(frozen=True)
class AwsProvider:
    """The EKS cluster of one environment. Capabilities are fields; see ClusterProvider for the contract."""

    environment: str
    state: Path
    options: Options
    run: str = ""
    name: str = "aws"
    root: Path = Paths.default().assets / "terraform" / "aws"
    programs: tuple[Program, ...] = ()
    recipe_folders: tuple[Path, ...] = ()
    images: tuple[str, ...] = ()
    external_resources: bool = True
    embedded: bool = False
    takes_images: bool = True
    built_programs: Programs = field(default_factory=lambda: Programs(Paths.default().cache))
    asks_first: bool = True
    whole: bool = True
    keeps_data: bool = False  # a stopped EKS cluster does not exist
    expires: bool = True

    @cached_property
    def session(self) -> Session:
        return session_of(self.options.region)

    @cached_property
    def bucket(self) -> StateBucket:
        return StateBucket(self.session, self.environment)

    @property
    def remote(self) -> RemoteState:
        """Where Terraform's state lies."""
        return RemoteState(self.bucket)

    @property
    def processor(self) -> str:
        """Components bear no GPU pool's taint. Graviton's types have a g after the generation, as in
        terraform/aws/modules/eks/nodes.tf."""
        return "arm64" if re.match("[a-z]+[0-9]+g", self.options.system_pool.instance_type) else "amd64"

    @cached_property
    def registry(self) -> Registry:
        from mlops_platform.clusters.aws.registry import registry_of

        return registry_of(self.built_programs, lambda: self.session, self._account, self.cluster)

    @cached_property
    def given(self) -> Mapping[str, Given]:
        from mlops_platform.clusters.aws.bucket import Bucket
        from mlops_platform.clusters.aws.node_pools import NodePools

        pools = NodePools(self.session, self._account, self.environment)
        bucket = Bucket(self.session, self._account, self.environment)
        return {NODE_POOLS: pools, **({OBJECT_STORE: bucket} if self.options.object_store == "s3" else {})}

    @cached_property
    def servers(self) -> Mapping[str, Server]:
        from mlops_platform.clusters.aws.database import Database

        database = Database(self.session, self.environment, self.network().pods)
        return {SQL: database} if self.options.sql == "rds" else {}

    def _account(self) -> str:
        record = self.record.here()
        return record.account if record else self.session.account

    @property
    def cluster(self) -> str:
        """The name of the EKS cluster; names of all else begin with it."""
        return f"mlops-{self.environment}"

    @property
    def kubeconfig(self) -> Path:
        return self.state.absolute() / "kubeconfig"

    @property
    def where(self) -> str:
        return worth.where(self.options.region, self.session.asked)

    def bill(self, volumes: float) -> Bill:
        return worth.bill(self.options, volumes)

    def holds(self, change: Change) -> str:
        return worth.holds(change)

    def checks(self) -> Sequence[Check]:
        from mlops_platform.clusters.aws.checks import all_checks

        return all_checks(self.session, self.environment, self.options)

    def variables(self) -> Mapping[str, Any]:
        """Without a call: what the record says of owner and run is read from its copy beside the state."""
        options, record = self.options, self.record.here()
        return {
            "name": self.environment,
            "region": options.region,
            "zones": options.three_zones,
            "kubernetes_version": options.version or KUBERNETES,
            "cidr": options.cidr,
            "service_cidr": options.service_cidr,
            "other_networks": options.other_networks,
            "nat": options.nat,
            "network_policy": options.network_policy,
            "python": sys.executable,
            "system_pool": options.system_pool.model_dump(),
            "gpu_pools": {name: pool.model_dump() for name, pool in options.gpu_pools.items()},
            "object_store": options.object_store,
            "sql": options.sql,
            # EKS itself lets in who makes the cluster, and refuses to be told so a second time.
            "admins": [arn for arn in options.admins if not record or arn != record.maker],
            "allowed_cidrs": options.allowed_cidrs,
            "log_retention_days": options.log_retention_days,
            "deletion_protection": options.deletion_protection,
            "path_style": elsewhere(),
            "run": record.run if record else "",
            "owner": record.owner if record else "",
            "expires_at": self.record.asked_expiry() or (record.expires_at if record else ""),
        }

    @cached_property
    def record(self) -> Keeping:
        return Keeping(self.session, self.bucket, self.state, self.environment, self.run)

    def prepare(self, progress: Progress) -> None:
        """The state bucket and the record in it, which say whose all that is made from now on is; and nodes
        as many as pools that are there may have now.

        Raises StepError when the environment was made in another account or region, or its name is taken.
        """
        self.record.keep(progress)
        pool_sizes.fit(self.session, self.cluster, self.options.pools, progress)

    def access(self, outputs: Mapping[str, Any]) -> ClusterAccess:
        """Also writes the kubeconfig for people; our own client is given tokens directly."""
        name, region = outputs["cluster_name"], outputs["region"]
        text = json.dumps(credentials.kubeconfig(name, region, outputs["endpoint"], outputs["ca"]), indent=1)
        if not self.kubeconfig.exists() or self.kubeconfig.read_text() != text:
            self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(self.kubeconfig, text)
        return ClusterAccess(
            name=name,
            endpoint=outputs["endpoint"],
            kubeconfig=self.kubeconfig,
            storage_class=outputs["storage_class"],
            region=region,
            token=credentials.Tokens(self.session, name).token,
        )

    def network(self) -> Network:
        """Pods have addresses of the private subnets, as nodes do. The control plane has none there."""
        quarters = IPv4Network(self.options.cidr).subnets(prefixlen_diff=2)  # as terraform/aws/network.tf
        # "Traffic from the local node should always be allowed", and one map is for both directions:
        # https://github.com/aws/aws-network-policy-agent/blob/main/pkg/fwruleprocessor/fw_rule_processor.go
        return Network(tuple(str(each) for each in list(quarters)[:ZONES]), own_node=True)

    def alive(self) -> str:
        """What EKS says of its cluster: whether its API server can be reached from here is another matter."""
        said = self.session.ask("eks", "describe_cluster", name=self.cluster)
        if not said:
            return "the cluster was never made, or is gone"
        status = said["cluster"]["status"]
        return "" if status == "ACTIVE" else f"EKS says {status}"

    def revive(self, progress: Progress, cancel: Cancel) -> None:
        """EKS mends its own clusters; one that is gone although Terraform made it is for Terraform."""
        wrong = self.alive()
        if wrong:
            raise StepError(
                f"{self.cluster}: {wrong}",
                hint="a change under way ends by itself; a cluster deleted by hand is made again",
                command=f"aws eks describe-cluster --name {self.cluster} --region {self.options.region}",
                transient=True,
            )

    def addons(self) -> Sequence[Mapping[str, Any]]:
        return (_storage_class(),)

    def images_present(self) -> frozenset[str]:
        return self.registry.references()

    def load_images(self, archives: Sequence[Path], progress: Progress, cancel: Cancel) -> None:
        for archive in archives:
            self.registry.push(archive, progress, cancel)

    @property
    def retainable(self) -> Mapping[str, Retain]:
        from mlops_platform.clusters.aws.teardown.sweeps import RETAIN

        return RETAIN

    @cached_property
    def teardown(self) -> Teardown:
        """The way down of this environment."""
        from mlops_platform.clusters.aws.teardown.teardown import Teardown

        return Teardown(self.session, self.bucket, self.cluster, self.record.here())

    def require_same_location(self) -> None:
        """Also takes over the record of an environment that another machine has made."""
        self.record.require_same_location()

    def expire(self, when: str) -> None:
        self.record.expire(when)

    def made(self) -> str:
        record = self.record.anywhere()
        return record.made_at if record else ""

    def data(self) -> Sequence[Leftover]:
        return self.teardown.data()

    def retain(self, words: Collection[str]) -> None:
        self.teardown.retain(words)

    def inventory(self) -> Sequence[Leftover]:
        return self.teardown.inventory()

    def explained(self, left: Sequence[Leftover]) -> Sequence[Leftover]:
        return self.teardown.explained(left)

    def destroy_files(self, *, keep_data: bool, progress: Progress) -> None:
        """The state bucket goes after the proof; here only files go."""
        self.kubeconfig.unlink(missing_ok=True)

    def sweep(self, found: Sequence[Leftover], progress: Progress, cancel: Cancel | None = None) -> None:
        self.teardown.sweep(found, progress, cancel)

    def recorded(self) -> str:
        if self.bucket.exists():
            return f"s3://{self.bucket.name}"
        return str(self.record.file) if self.record.here() else ""

    def forget(self, progress: Progress) -> None:
        """The bucket last of all, and then its copy: whoever is killed in between finds the bucket gone."""
        self.teardown.forget(progress)
        self.record.file.unlink(missing_ok=True)


def _storage_class() -> Mapping[str, Any]:
    """EKS brings none since 1.30: gp3, encrypted, in the zone the pod is placed in."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "ebs.csi.aws.com",
        "parameters": {"type": "gp3", "encrypted": "true"},
        "reclaimPolicy": "Delete",
        "allowVolumeExpansion": True,
        "volumeBindingMode": "WaitForFirstConsumer",
    }
