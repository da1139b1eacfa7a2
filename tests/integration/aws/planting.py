"""Planted objects: one of every kind that an environment may leave, with or without its tag."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.aws import Account

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)


def pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


@dataclass
class Garden:
    """The planted objects in one network of one account. `word` makes names unique."""

    account: Account
    tags: Mapping[str, str]
    word: str
    ids: dict[str, list[str]] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        return self.account.client(service)

    def marked(self, kind: str) -> list[dict[str, Any]]:
        """EC2's TagSpecifications; empty without tags."""
        return [{"ResourceType": kind, "Tags": pairs(self.tags)}] if self.tags else []

    def keep(self, kind: str, id: str) -> str:
        self.ids.setdefault(kind, []).append(id)
        return id

    def network(self) -> str:
        """A VPC with a subnet, gateways, an address, an endpoint, tables and lists; returns the subnet."""
        ec2 = self.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16", TagSpecifications=self.marked("vpc"))["Vpc"]["VpcId"]
        self.keep("vpc", vpc)
        self.vpc = vpc
        subnet = self.keep(
            "subnet",
            ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24", TagSpecifications=self.marked("subnet"))[
                "Subnet"
            ]["SubnetId"],
        )
        self.other_subnet = self.keep(
            "subnet",
            ec2.create_subnet(
                VpcId=vpc,
                CidrBlock="10.9.2.0/24",
                AvailabilityZone=f"{self.account.region}b",
                TagSpecifications=self.marked("subnet"),
            )["Subnet"]["SubnetId"],
        )
        gateway = ec2.create_internet_gateway(TagSpecifications=self.marked("internet-gateway"))
        inner = self.keep("internet gateway", gateway["InternetGateway"]["InternetGatewayId"])
        ec2.attach_internet_gateway(InternetGatewayId=inner, VpcId=vpc)
        egress = ec2.create_egress_only_internet_gateway(
            VpcId=vpc, TagSpecifications=self.marked("egress-only-internet-gateway")
        )
        self.keep("egress-only gateway", egress["EgressOnlyInternetGateway"]["EgressOnlyInternetGatewayId"])
        address = ec2.allocate_address(Domain="vpc", TagSpecifications=self.marked("elastic-ip"))
        self.keep("elastic ip", address["AllocationId"])
        nat = ec2.create_nat_gateway(
            SubnetId=subnet, AllocationId=address["AllocationId"], TagSpecifications=self.marked("natgateway")
        )
        self.keep("nat gateway", nat["NatGateway"]["NatGatewayId"])
        table = ec2.create_route_table(VpcId=vpc, TagSpecifications=self.marked("route-table"))
        table_id = self.keep("route table", table["RouteTable"]["RouteTableId"])
        ec2.associate_route_table(RouteTableId=table_id, SubnetId=subnet)
        rules = ec2.create_network_acl(VpcId=vpc, TagSpecifications=self.marked("network-acl"))
        self.keep("network acl", rules["NetworkAcl"]["NetworkAclId"])
        endpoint = ec2.create_vpc_endpoint(
            VpcId=vpc,
            ServiceName=f"com.amazonaws.{self.account.region}.ecr.api",
            VpcEndpointType="Interface",
            SubnetIds=[subnet],
            TagSpecifications=self.marked("vpc-endpoint"),
        )
        self.keep("vpc endpoint", endpoint["VpcEndpoint"]["VpcEndpointId"])
        options = ec2.create_dhcp_options(
            DhcpConfigurations=[{"Key": "domain-name", "Values": ["mlops.test"]}],
            TagSpecifications=self.marked("dhcp-options"),
        )
        named = self.keep("dhcp options", options["DhcpOptions"]["DhcpOptionsId"])
        if self.tags:  # moto ignores their tags at creation
            ec2.create_tags(Resources=[named], Tags=pairs(self.tags))
        return subnet

    def disks(self) -> None:
        ec2 = self.client("ec2")
        volume = ec2.create_volume(
            AvailabilityZone=f"{self.account.region}a",
            Size=50,
            VolumeType="gp3",
            TagSpecifications=self.marked("volume"),
        )
        self.keep("ebs volume", volume["VolumeId"])
        snapshot = ec2.create_snapshot(VolumeId=volume["VolumeId"], TagSpecifications=self.marked("snapshot"))
        self.keep("ebs snapshot", snapshot["SnapshotId"])

    def interface(self, subnet: str) -> str:
        made = self.client("ec2").create_network_interface(
            SubnetId=subnet,
            Description="aws-K8S-i-0ab",
            TagSpecifications=self.marked("network-interface"),
        )
        return self.keep("network interface", made["NetworkInterface"]["NetworkInterfaceId"])

    def group(self, name: str, vpc: str, tags: Mapping[str, str] | None = None) -> str:
        marked = self.marked("security-group")
        if tags is not None:
            marked = [{"ResourceType": "security-group", "Tags": pairs(tags)}] if tags else []
        made = self.client("ec2").create_security_group(
            GroupName=f"{self.word}-{name}", Description=name, VpcId=vpc, TagSpecifications=marked
        )
        return str(made["GroupId"])

    def cycle(self, vpc: str) -> tuple[str, str]:
        """Two security groups that reference each other."""
        one, two = self.group("one", vpc), self.group("two", vpc)
        self.names(one, two)
        self.names(two, one)
        return self.keep("security group", one), self.keep("security group", two)

    def names(self, group: str, other: str) -> None:
        rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "UserIdGroupPairs": [{"GroupId": other}]}
        self.client("ec2").authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])

    def compute(self, subnet: str) -> None:
        ec2 = self.client("ec2")
        image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        instance = ec2.run_instances(
            ImageId=image,
            InstanceType="m5.large",
            SubnetId=subnet,
            MinCount=1,
            MaxCount=1,
            TagSpecifications=self.marked("instance"),
        )
        self.keep("instance", instance["Instances"][0]["InstanceId"])
        template = ec2.create_launch_template(
            LaunchTemplateName=f"{self.word}-template",
            LaunchTemplateData={"ImageId": image, "InstanceType": "m5.large"},
            TagSpecifications=self.marked("launch-template"),
        )
        name = self.keep("launch template", template["LaunchTemplate"]["LaunchTemplateId"])
        self.client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName=self.keep("scaling group", f"{self.word}-scaling"),
            LaunchTemplate={"LaunchTemplateId": name},
            MinSize=0,
            MaxSize=2,
            DesiredCapacity=0,
            VPCZoneIdentifier=subnet,
            Tags=[{**pair, "PropagateAtLaunch": False} for pair in pairs(self.tags)],
        )

    def balancers(self, subnets: list[str], vpc: str) -> None:
        elb, second = self.client("elb"), self.client("elbv2")
        extra = {"Tags": pairs(self.tags)} if self.tags else {}
        elb.create_load_balancer(
            LoadBalancerName=self.keep("classic load balancer", f"{self.word}-classic"),
            Listeners=[{"Protocol": "TCP", "LoadBalancerPort": 80, "InstancePort": 80}],
            Subnets=subnets,
            **extra,
        )
        balancer = second.create_load_balancer(
            Name=f"{self.word}-net", Type="network", Subnets=subnets, **extra
        )["LoadBalancers"][0]["LoadBalancerArn"]
        self.keep("load balancer", balancer)
        targets = second.create_target_group(
            Name=f"{self.word}-targets", Protocol="TCP", Port=80, VpcId=vpc, **extra
        )["TargetGroups"][0]["TargetGroupArn"]
        self.keep("target group", targets)
        listener = second.create_listener(
            LoadBalancerArn=balancer,
            Protocol="TCP",
            Port=80,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": targets}],
            **extra,
        )
        self.keep("listener", listener["Listeners"][0]["ListenerArn"])

    def identities(self) -> str:
        """All kinds of IAM; returns the role's ARN."""
        iam = self.client("iam")
        name = self.word
        extra = {"Tags": pairs(self.tags)} if self.tags else {}
        role = iam.create_role(RoleName=self.keep("iam role", name), AssumeRolePolicyDocument=TRUST, **extra)
        document = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}],
        }
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(document))
        policy = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(document), **extra)["Policy"]
        self.keep("iam policy", policy["Arn"])
        iam.attach_role_policy(RoleName=name, PolicyArn=policy["Arn"])
        iam.create_instance_profile(InstanceProfileName=self.keep("instance profile", name), **extra)
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
        provider = iam.create_open_id_connect_provider(
            Url=f"https://{self.word}.example.test/id", ThumbprintList=["a" * 40], **extra
        )
        self.keep("oidc provider", provider["OpenIDConnectProviderArn"])
        return str(role["Role"]["Arn"])

    def cluster(self, role: str, subnets: list[str]) -> None:
        eks = self.client("eks")
        name = self.keep("cluster", self.word)
        eks.create_cluster(
            name=name, roleArn=role, resourcesVpcConfig={"subnetIds": subnets}, tags=dict(self.tags)
        )
        eks.create_nodegroup(
            clusterName=name,
            nodegroupName="system",
            subnets=subnets,
            nodeRole=role,
            launchTemplate={"id": self.ids["launch template"][0], "version": "1"},
            tags=dict(self.tags),
        )
        self.keep("node group", f"{name}:system")

    def stores(self, subnets: list[str], *, protected: bool = False) -> None:
        """A bucket with versions of an object, a database, a snapshot and a subnet group."""
        s3, rds = self.client("s3"), self.client("rds")
        bucket = self.keep("bucket", f"{self.word}-{self.account.id}-artifacts")
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": self.account.region})
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        if self.tags:
            s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": pairs(self.tags)})
        for text in (b"one", b"two"):
            s3.put_object(Bucket=bucket, Key="model", Body=text)
        s3.delete_object(Bucket=bucket, Key="model")
        group = self.keep("database subnet group", f"{self.word}-data")
        rds.create_db_subnet_group(
            DBSubnetGroupName=group,
            DBSubnetGroupDescription="data",
            SubnetIds=subnets,
            Tags=pairs(self.tags),
        )
        database = self.keep("database", f"{self.word}-sql")
        rds.create_db_instance(
            DBInstanceIdentifier=database,
            Engine="postgres",
            DBInstanceClass="db.t4g.medium",
            AllocatedStorage=20,
            MasterUsername="postgres",
            MasterUserPassword="not-a-secret",
            DBSubnetGroupName=group,
            DeletionProtection=protected,
            Tags=pairs(self.tags),
        )
        snapshot = self.keep("database snapshot", f"{self.word}-before")
        rds.create_db_snapshot(
            DBSnapshotIdentifier=snapshot, DBInstanceIdentifier=database, Tags=pairs(self.tags)
        )

    def images(self) -> None:
        """A repository with an image: its deletion needs `force`."""
        ecr = self.client("ecr")
        name = self.keep("image repository", f"{self.word}-images")
        ecr.create_repository(repositoryName=name, tags=pairs(self.tags))
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"digest": f"sha256:{'0' * 64}", "size": 1},
            "layers": [],
        }
        ecr.put_image(repositoryName=name, imageManifest=json.dumps(manifest), imageTag="minio-0")

    def rest(self) -> None:
        logs, kms = self.client("logs"), self.client("kms")
        group = self.keep("log group", f"/{self.word}/application")
        logs.create_log_group(logGroupName=group, tags=dict(self.tags))
        tags = [{"TagKey": key, "TagValue": value} for key, value in self.tags.items()]
        key = kms.create_key(Description="secrets", Tags=tags)["KeyMetadata"]["KeyId"]
        self.keep("key", key)
        kms.create_alias(AliasName=self.keep("key alias", f"alias/{self.word}-secrets"), TargetKeyId=key)

    def everything(self) -> None:
        subnet = self.network()
        subnets = [subnet, self.other_subnet]
        self.disks()
        self.interface(subnet)
        self.cycle(self.vpc)
        self.compute(subnet)
        self.balancers(subnets, self.vpc)
        role = self.identities()
        self.cluster(role, subnets)
        self.stores(subnets)
        self.images()
        self.rest()
