"""Operations of EKS that moto does not have and this project's Terraform needs.

Added: access entries and their policies, add-ons, pod identity associations, the access and upgrade
settings of a cluster, and an Auto Scaling group behind each node group. Corrected: a node group made without
remote access answers without an SSH key, as in AWS; with moto's answer, every plan would replace it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from moto.autoscaling.models import autoscaling_backends
from moto.core.responses import ActionResult
from moto.eks import urls
from moto.eks.exceptions import ResourceInUseException, ResourceNotFoundException
from moto.eks.responses import EKSResponse
from moto.sts.models import sts_backends

from tests.fakes.aws.eks_beside import ec2_of, scaling_group, security_group

Things = dict[str, dict[str, Any]]
_CLUSTER = "{0}/clusters/(?P<name>[^/]+)"
_PATHS = (
    f"{_CLUSTER}/access-entries$",
    f"{_CLUSTER}/access-entries/(?P<principalArn>.+)/access-policies$",
    f"{_CLUSTER}/access-entries/(?P<principalArn>.+)/access-policies/(?P<policyArn>.+)$",
    f"{_CLUSTER}/access-entries/(?P<principalArn>[^/]+/.+)$",
    "{0}/addons/supported-versions$",
    f"{_CLUSTER}/addons$",
    f"{_CLUSTER}/addons/(?P<addonName>[^/]+)$",
    f"{_CLUSTER}/addons/(?P<addonName>[^/]+)/update$",
    f"{_CLUSTER}/pod-identity-associations$",
    f"{_CLUSTER}/pod-identity-associations/(?P<associationId>[^/]+)$",
)


class Extended(EKSResponse):
    """Added operations; moto finds a method by the name of the operation in the service's model."""

    def _things(self, kind: str) -> Things:
        """The objects of one cluster. Raises the error of AWS if there is no such cluster."""
        cluster = self.eks_backend.describe_cluster(
            name=self._get_param("name") or self._get_param("clusterName")
        )
        stored: dict[str, Things] = cluster.__dict__.setdefault("things", {})
        return stored.setdefault(kind, {})

    def _arn(self, kind: str, *parts: str) -> str:
        path = "/".join([kind, self._get_param("name") or self._get_param("clusterName"), *parts])
        return f"arn:aws:eks:{self.region}:{self.current_account}:{path}"

    def _make(self, kind: str, key: str, thing: dict[str, Any]) -> dict[str, Any]:
        stored, now = self._things(kind), datetime.now(UTC)
        if key in stored:
            raise ResourceInUseException(message=f"{kind} {key} exists already")
        stored[key] = {"createdAt": now, "modifiedAt": now, "tags": self._get_param("tags") or {}, **thing}
        return stored[key]

    def _one(self, kind: str, key: str) -> dict[str, Any]:
        found = self._things(kind).get(key)
        if found is None:
            raise ResourceNotFoundException(message=f"{kind}: no {key}")
        return found

    def create_cluster(self) -> ActionResult:
        result = super().create_cluster()
        cluster = self.eks_backend.describe_cluster(name=self._get_param("name"))
        given: dict[str, Any] = self._get_param("accessConfig") or {}
        # The second setting is only an instruction at creation: AWS does not return it.
        cluster.__dict__["access_config"] = {
            "authenticationMode": given.get("authenticationMode", "CONFIG_MAP"),
            "bootstrapClusterCreatorAdminPermissions": given.get("bootstrapClusterCreatorAdminPermissions"),
        }
        cluster.__dict__["upgrade_policy"] = self._get_param("upgradePolicy") or {"supportType": "EXTENDED"}
        cluster.resources_vpc_config["clusterSecurityGroupId"] = security_group(self, cluster)
        if given.get("bootstrapClusterCreatorAdminPermissions"):
            self._enter(self._maker())
        return result

    def _maker(self) -> str:
        sts = sts_backends[self.current_account][self.partition]
        _, arn, _ = sts.get_caller_identity(self.get_access_key(), self.region)
        return str(arn)

    def create_nodegroup(self) -> ActionResult:
        result = super().create_nodegroup()
        group = self.eks_backend.describe_nodegroup(
            cluster_name=self._get_param("name"), nodegroup_name=self._get_param("nodegroupName")
        )
        group.__dict__["remote_access"] = None
        group.update_config = self._get_param("updateConfig")
        group.node_repair_config = self._get_param("nodeRepairConfig")
        scaling_group(self, group)
        return result

    def delete_nodegroup(self) -> ActionResult:
        group = self.eks_backend.describe_nodegroup(
            cluster_name=self._get_param("name"), nodegroup_name=self._get_param("nodegroupName")
        )
        backend = autoscaling_backends[self.current_account][self.region]
        resources: dict[str, Any] = group.resources
        backend.autoscaling_groups.pop(resources["autoScalingGroups"][0]["name"], None)
        return super().delete_nodegroup()

    def delete_cluster(self) -> ActionResult:
        cluster = self.eks_backend.describe_cluster(name=self._get_param("name"))
        group = cluster.resources_vpc_config.get("clusterSecurityGroupId")
        result = super().delete_cluster()
        if group and ec2_of(self).get_security_group_from_id(group):  # may be deleted already
            ec2_of(self).delete_security_group(group_id=group)
        return result

    def create_access_entry(self) -> ActionResult:
        return ActionResult({"accessEntry": self._enter(self._get_param("principalArn"))})

    def _enter(self, principal: str) -> dict[str, Any]:
        thing = {
            "clusterName": self._get_param("name"),
            "principalArn": principal,
            "kubernetesGroups": self._get_param("kubernetesGroups") or [],
            "accessEntryArn": self._arn("access-entry", str(uuid4())),
            "username": self._get_param("username") or principal,
            "type": self._get_param("type") or "STANDARD",
            "policies": {},
        }
        return self._make("access-entry", principal, thing)

    def describe_access_entry(self) -> ActionResult:
        return ActionResult({"accessEntry": self._one("access-entry", self._principal())})

    def delete_access_entry(self) -> ActionResult:
        self._one("access-entry", self._principal())
        del self._things("access-entry")[self._principal()]
        return ActionResult({})

    def associate_access_policy(self) -> ActionResult:
        entry, now = self._one("access-entry", self._principal()), datetime.now(UTC)
        policy = {
            "policyArn": self._get_param("policyArn"),
            "accessScope": self._get_param("accessScope"),
            "associatedAt": now,
            "modifiedAt": now,
        }
        entry["policies"][policy["policyArn"]] = policy
        return ActionResult(
            {
                "clusterName": self._get_param("name"),
                "principalArn": self._principal(),
                "associatedAccessPolicy": policy,
            }
        )

    def list_associated_access_policies(self) -> ActionResult:
        entry = self._one("access-entry", self._principal())
        return ActionResult(
            {
                "clusterName": self._get_param("name"),
                "principalArn": self._principal(),
                "associatedAccessPolicies": list(entry["policies"].values()),
            }
        )

    def disassociate_access_policy(self) -> ActionResult:
        policies = self._one("access-entry", self._principal())["policies"]
        policies.pop(_decoded(self._get_param("policyArn")), None)
        return ActionResult({})

    def _principal(self) -> str:
        return _decoded(self._get_param("principalArn"))

    def describe_addon_versions(self) -> ActionResult:
        """One version, which is the default for every version of Kubernetes."""
        given = self._get_param("kubernetesVersion")
        suits = [{"clusterVersion": given, "platformVersions": ["*"], "defaultVersion": True}]
        version = {"addonVersion": "v1.0.0-eksbuild.1", "architecture": ["amd64"], "compatibilities": suits}
        name = self._get_param("addonName")
        return ActionResult({"addons": [{"addonName": name, "addonVersions": [version]}]})

    def create_addon(self) -> ActionResult:
        name = self._get_param("addonName")
        thing = {
            "addonName": name,
            "clusterName": self._get_param("name"),
            "status": "ACTIVE",
            "health": {"issues": []},
            "addonVersion": self._get_param("addonVersion") or "v1.0.0-eksbuild.1",
            "addonArn": self._arn("addon", name, str(uuid4())),
            "configurationValues": self._get_param("configurationValues"),
        }
        return ActionResult({"addon": self._make("addon", name, thing)})

    def describe_addon(self) -> ActionResult:
        return ActionResult({"addon": self._one("addon", self._get_param("addonName"))})

    def delete_addon(self) -> ActionResult:
        found = self._one("addon", self._get_param("addonName"))
        del self._things("addon")[found["addonName"]]
        return ActionResult({"addon": {**found, "status": "DELETING"}})

    def create_pod_identity_association(self) -> ActionResult:
        given = {key: self._get_param(key) for key in ("namespace", "serviceAccount", "roleArn")}
        identity = f"a-{uuid4().hex[:16]}"
        thing = {
            **given,
            "clusterName": self._get_param("name"),
            "associationId": identity,
            "associationArn": self._arn("podidentityassociation", identity),
        }
        if any(
            (other["namespace"], other["serviceAccount"]) == (given["namespace"], given["serviceAccount"])
            for other in self._things("podidentityassociation").values()
        ):
            raise ResourceInUseException(message="Association already exists")
        return ActionResult({"association": self._make("podidentityassociation", identity, thing)})

    def describe_pod_identity_association(self) -> ActionResult:
        found = self._one("podidentityassociation", self._get_param("associationId"))
        return ActionResult({"association": found})

    def list_pod_identity_associations(self) -> ActionResult:
        wanted = [(k, self._get_param(k)) for k in ("namespace", "serviceAccount") if self._get_param(k)]
        found = [
            each
            for each in self._things("podidentityassociation").values()
            if all(each[key] == value for key, value in wanted)
        ]
        return ActionResult({"associations": found})

    def delete_pod_identity_association(self) -> ActionResult:
        found = self._one("podidentityassociation", self._get_param("associationId"))
        del self._things("podidentityassociation")[found["associationId"]]
        return ActionResult({"association": found})


def _decoded(arn: str) -> str:
    from urllib.parse import unquote

    return unquote(arn)


def extend() -> None:
    """Replace moto's methods, before its server starts."""
    response = Extended()
    dispatch: Callable[..., Any] = response.dispatch
    urls.url_paths = dict.fromkeys((*urls.url_paths, *_PATHS), dispatch)
