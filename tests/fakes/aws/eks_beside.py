"""Resources that EKS makes beside a cluster: its security group, a scaling group for each node group."""

from __future__ import annotations

from typing import Any

from moto.autoscaling.models import autoscaling_backends
from moto.eks.responses import EKSResponse


def ec2_of(response: EKSResponse) -> Any:
    from moto.ec2.models import ec2_backends

    return ec2_backends[response.current_account][response.region]


def security_group(response: EKSResponse, cluster: Any) -> str:
    """Make the group for the control plane and the nodes; EKS deletes it with the cluster."""
    ec2 = ec2_of(response)
    subnet = ec2.get_subnet(cluster.resources_vpc_config["subnetIds"][0])
    group = ec2.create_security_group(
        name=f"eks-cluster-sg-{cluster.name}",
        description="made by EKS",
        vpc_id=subnet.vpc_id,
        tags={f"kubernetes.io/cluster/{cluster.name}": "owned", "aws:eks:cluster-name": cluster.name},
    )
    return str(group.id)


def scaling_group(response: EKSResponse, group: Any) -> None:
    """Make a group without instances: tests need no nodes. The autoscaler finds the group by its tags."""
    name = group.resources["autoScalingGroups"][0]["name"]
    tags_of_group = {
        "eks:cluster-name": group.cluster_name,
        "eks:nodegroup-name": group.nodegroup_name,
        "k8s.io/cluster-autoscaler/enabled": "true",
        f"k8s.io/cluster-autoscaler/{group.cluster_name}": "owned",
        f"kubernetes.io/cluster/{group.cluster_name}": "owned",
    }
    template = dict(group.launch_template or {})
    autoscaling_backends[response.current_account][response.region].create_auto_scaling_group(
        name=name,
        availability_zones=[],
        desired_capacity=0,
        max_size=group.scaling_config["maxSize"],
        min_size=0,
        launch_config_name="",
        launch_template={"LaunchTemplateId": template.get("id"), "Version": template.get("version")},
        mixed_instances_policy=None,
        vpc_zone_identifier=",".join(group.subnets),
        default_cooldown=None,
        health_check_period=None,
        health_check_type=None,
        load_balancers=[],
        target_group_arns=[],
        placement_group=None,
        termination_policies=[],
        tags=[
            {
                "ResourceId": name,
                "ResourceType": "auto-scaling-group",
                "Key": key,
                "Value": value,
                "PropagateAtLaunch": "true",
            }
            for key, value in tags_of_group.items()
        ],
        capacity_rebalance=False,
    )
