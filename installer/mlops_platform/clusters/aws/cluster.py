"""The EKS cluster of an environment."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_platform.adapters.programs import Programs
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import StepError
from mlops_platform.base.files import write_private
from mlops_platform.base.paths import Paths
from mlops_platform.base.progress import Progress
from mlops_platform.clusters.aws import credentials, pool_sizes
from mlops_platform.clusters.aws.cost import AwsCost
from mlops_platform.clusters.aws.options import KUBERNETES, NODE_POOLS, OBJECT_STORE, SQL, ZONES, Options
from mlops_platform.clusters.aws.remote_state import RemoteState
from mlops_platform.clusters.aws.session import Session, elsewhere, session_of, where
from mlops_platform.clusters.aws.state.bucket import StateBucket
from mlops_platform.clusters.aws.state.record import EnvironmentRecord
from mlops_platform.clusters.base import Capabilities, Check, Cluster, ClusterAccess, Network
from mlops_platform.clusters.managed import ManagedData, ManagedServer, ManagedService
from mlops_platform.environment.model import ClusterSpec

if TYPE_CHECKING:
    from mlops_platform.adapters.registry import Registry
    from mlops_platform.clusters.aws.bucket import Bucket
    from mlops_platform.clusters.aws.teardown.teardown import AwsTeardown

STORAGE_CLASS = "gp3"


@dataclass(frozen=True)
class AwsCluster(Cluster):
    """The EKS cluster of one environment."""

    environment: str
    state: Path
    options: Options
    run: str = ""
    built_programs: Programs = field(default_factory=lambda: Programs(Paths.default().cache))
    name = "aws"
    root = Paths.default().assets / "terraform" / "aws"

    @property
    def capabilities(self) -> Capabilities:
        # Components tolerate no GPU pool's taint. A Graviton type has a g after its generation, as in
        # terraform/aws/modules/eks/nodes.tf. A stopped EKS cluster does not exist, so no data is kept.
        graviton = re.match("[a-z]+[0-9]+g", self.options.system_pool.instance_type)
        return Capabilities(
            embedded=False,
            takes_images=True,
            external_resources=True,
            expires=True,
            requires_confirmation=True,
            processor="arm64" if graviton else "amd64",
        )

    @property
    def cost(self) -> AwsCost:
        return AwsCost(self.options, self.record)

    @cached_property
    def teardown(self) -> AwsTeardown:
        # imported at use: start-up time
        from mlops_platform.clusters.aws.teardown.teardown import AwsTeardown

        return AwsTeardown(self.record, self.cluster_name, self.kubeconfig)

    @cached_property
    def session(self) -> Session:
        return session_of(self.options.region)

    @cached_property
    def bucket(self) -> StateBucket:
        return StateBucket(self.session, self.environment)

    @property
    def remote(self) -> RemoteState:
        """The S3 backend of Terraform's state."""
        return RemoteState(self.bucket)

    @cached_property
    def registry(self) -> Registry:
        from mlops_platform.clusters.aws.registry import registry_of  # imported at use: start-up time

        return registry_of(self.built_programs, lambda: self.session, self._account, self.cluster_name)

    @cached_property
    def managed(self) -> Mapping[str, ManagedService]:
        from mlops_platform.clusters.aws.node_pools import NodePools  # imported at use: start-up time

        pools = NodePools(self.session, self._account, self.environment)
        return {NODE_POOLS: pools, **({OBJECT_STORE: self._store} if self._store else {})}

    @cached_property
    def project_data(self) -> ManagedData | None:
        from mlops_platform.clusters.aws.project_data import ProjectData  # imported at use: start-up time

        return ProjectData(self._store) if self._store else None

    @cached_property
    def _store(self) -> Bucket | None:
        from mlops_platform.clusters.aws.bucket import Bucket  # imported at use: start-up time

        if self.options.object_store != "s3":
            return None
        return Bucket(self.session, self._account, self.environment)

    @cached_property
    def managed_servers(self) -> Mapping[str, ManagedServer]:
        from mlops_platform.clusters.aws.database import Database  # imported at use: start-up time

        database = Database(self.session, self.environment, self.network().pods)
        return {SQL: database} if self.options.sql == "rds" else {}

    def _account(self) -> str:
        record = self.record.here()
        return record.account if record else self.session.account

    @property
    def cluster_name(self) -> str:
        """The name of the EKS cluster; all other names begin with it."""
        return f"mlops-{self.environment}"

    @property
    def kubeconfig(self) -> Path:
        return self.state.absolute() / "kubeconfig"

    @property
    def has_gpus(self) -> bool:
        return bool(self.options.gpu_pools)

    @property
    def where(self) -> str:
        return where(self.options.region, self.session.asked)

    def checks(self) -> Sequence[Check]:
        from mlops_platform.clusters.aws.checks import all_checks  # imported at use: start-up time

        return all_checks(self.session, self.environment, self.options)

    def variables(self) -> Mapping[str, Any]:
        """Sends no request: owner and run are read from the record's copy beside the state."""
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
            # EKS gives the creator an access entry itself, and rejects a second one.
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
    def record(self) -> EnvironmentRecord:
        return EnvironmentRecord(self.session, self.bucket, self.state, self.environment, self.run)

    def prepare(self, progress: Progress) -> None:
        """Create the state bucket with the record, and bring node counts between their new limits.

        Raises StepError when the environment was created in another account or region, or its name is taken.
        """
        self.record.keep(progress)
        pool_sizes.fit(self.session, self.cluster_name, self.options.pools, progress)

    def access(self, outputs: Mapping[str, Any]) -> ClusterAccess:
        """Also write the kubeconfig for users; our own client gets tokens directly."""
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
        """Pods and nodes have addresses of the private subnets; the control plane does not."""
        quarters = IPv4Network(self.options.cidr).subnets(prefixlen_diff=2)  # as terraform/aws/network.tf
        # "Traffic from the local node should always be allowed", and one map is for both directions:
        # https://github.com/aws/aws-network-policy-agent/blob/main/pkg/fwruleprocessor/fw_rule_processor.go
        private = tuple(str(each) for each in list(quarters)[:ZONES])
        return Network(private, private, own_node=True)

    def alive(self) -> str:
        """The status in EKS; the API server may still be unreachable from here."""
        said = self.session.ask("eks", "describe_cluster", name=self.cluster_name)
        if not said:
            return "the cluster does not exist"
        status = said["cluster"]["status"]
        return "" if status == "ACTIVE" else f"EKS reports {status}"

    def revive(self, progress: Progress, cancel: Cancel) -> None:
        """Raise StepError unless it is ACTIVE: EKS repairs a cluster, Terraform recreates it."""
        wrong = self.alive()
        if wrong:
            raise StepError(
                f"{self.cluster_name}: {wrong}",
                hint="wait for a change in progress; run `up` again to recreate a deleted cluster",
                command=f"aws eks describe-cluster --name {self.cluster_name} --region {self.options.region}",
                transient=True,
            )

    def addons(self) -> Sequence[Mapping[str, Any]]:
        return (_storage_class(),)

    def require_same_location(self) -> None:
        """Also copies the record of an environment that another machine has made."""
        self.record.require_same_location()


def make(spec: ClusterSpec, environment: str, state: Path, programs: Programs, run: str) -> AwsCluster:
    """Make the cluster object; sends no request."""
    assert isinstance(spec, Options), "the environment file was read with this provider's options model"
    return AwsCluster(environment, state, spec, run, built_programs=programs)


def _storage_class() -> Mapping[str, Any]:
    """The default StorageClass, which EKS lacks since 1.30: gp3, encrypted, in the zone of the pod."""
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
