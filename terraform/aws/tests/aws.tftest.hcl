# Runs with a mocked provider, without credentials or a cloud: checks the plan, and that wrong input fails.

mock_provider "aws" {
  override_during = plan

  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_eks_addon_version" {
    defaults = { version = "v1.0.0-eksbuild.1" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/mock" }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-central-1:111122223333:key/mock", key_id = "mock" }
  }
  mock_resource "aws_launch_template" {
    defaults = { id = "lt-0123456789abcdef0", latest_version = 1 }
  }
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::mock" }
  }
  mock_resource "aws_eks_cluster" {
    defaults = {
      arn                   = "arn:aws:eks:eu-central-1:111122223333:cluster/mock"
      endpoint              = "https://mock.eks.amazonaws.com"
      certificate_authority = [{ data = "bW9jaw==" }]
    }
  }
  mock_resource "aws_eks_node_group" {
    defaults = { resources = [{ autoscaling_groups = [{ name = "eks-mock" }], remote_access_security_group_id = "" }] }
  }
}

variables {
  name   = "test"
  region = "eu-central-1"
  zones  = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
  run    = "run-1"
  owner  = "tester"
}

run "minimal_environment" {
  command = plan
  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(aws_s3_bucket.this) == 0 && length(aws_db_instance.this) == 0
    error_message = "expected one NAT gateway and no managed service"
  }
  assert {
    condition     = length(distinct([for s in merge(aws_subnet.private, { for k, v in aws_subnet.public : "public ${k}" => v }, { for k, v in aws_subnet.control : "control ${k}" => v }) : s.cidr_block])) == 9
    error_message = "expected nine subnets without overlap"
  }
  assert {
    condition     = aws_ecr_repository.images.name == "mlops-test" && aws_ecr_repository.images.image_tag_mutability == "IMMUTABLE"
    error_message = "expected an image repository with immutable tags"
  }
  assert {
    condition     = output.tags == { "mlops-platform/env" = "test", "mlops-platform/run" = "run-1", "mlops-platform/owner" = "tester" }
    error_message = "the tags must contain environment, run and owner, and no expiry"
  }
  assert {
    condition     = output.object_store == null && output.sql == null && output.cluster_name == "mlops-test"
    error_message = "outputs of managed services must be null"
  }
}

run "cluster_is_private_and_logs_everything" {
  command = plan
  module {
    source = "./modules/eks"
  }
  variables {
    name               = "mlops-test"
    partition          = "aws"
    kubernetes_version = "1.35"
    control_subnet_ids = ["subnet-4", "subnet-5", "subnet-6"]
    subnets            = { eu-central-1a = "subnet-1", eu-central-1b = "subnet-2", eu-central-1c = "subnet-3" }
    service_cidr       = "172.20.0.0/16"
    allowed_cidrs      = []
    admins             = ["arn:aws:iam::111122223333:role/platform"]
    key_arn            = "arn:aws:kms:eu-central-1:111122223333:key/mock"
    log_retention_days = 30
    network_policy     = "strict"
    python             = "/usr/bin/python3"
    system_pool        = { instance_type = "m7g.xlarge", min = 2, max = 4, disk = 50, zones = [] }
    gpu_pools = {
      a10 = { instance_type = "g5.xlarge", gpu_count = 1, min = 0, max = 2, spot = true, taint = "nvidia.com/gpu=present:NoSchedule", labels = { team = "ml" }, disk = 200, zones = ["eu-central-1b"] }
    }
    tags = { "mlops-platform/env" = "test" }
  }
  assert {
    condition     = !aws_eks_cluster.this.vpc_config[0].endpoint_public_access && length(aws_eks_cluster.this.enabled_cluster_log_types) == 5
    error_message = "expected a private endpoint and all control plane logs"
  }
  assert {
    condition     = aws_eks_cluster.this.access_config[0].authentication_mode == "API" && aws_eks_cluster.this.encryption_config[0].resources == toset(["secrets"])
    error_message = "expected access entries only, and Secrets encrypted with the key"
  }
  assert {
    condition     = jsondecode(aws_eks_addon.before["vpc-cni"].configuration_values) == { enableNetworkPolicy = "true", env = { NETWORK_POLICY_ENFORCING_MODE = "strict" } }
    error_message = "expected enforced network policies in strict mode"
  }
  assert {
    condition     = length(terraform_data.policies) == 1
    error_message = "expected policies for DNS and the disk driver before the first pod"
  }
  assert {
    condition     = jsondecode(aws_eks_addon.after["aws-ebs-csi-driver"].configuration_values).controller.extraVolumeTags == { "mlops-platform/env" = "test" }
    error_message = "disks of the driver must carry the tags"
  }
  assert {
    condition     = aws_eks_node_group.this["a10"].ami_type == "BOTTLEROCKET_x86_64_NVIDIA" && aws_eks_node_group.this["a10"].capacity_type == "SPOT" && aws_eks_node_group.this["system"].ami_type == "AL2023_ARM_64_STANDARD"
    error_message = "the node image must match the processor and the GPU"
  }
  assert {
    condition     = aws_eks_node_group.this["a10"].subnet_ids == toset(["subnet-2"]) && length(aws_eks_node_group.this["system"].subnet_ids) == 3
    error_message = "a pool must be in its own zones, or in all"
  }
  assert {
    condition     = one(aws_eks_node_group.this["a10"].taint).effect == "NO_SCHEDULE" && length(aws_eks_node_group.this["system"].taint) == 0
    error_message = "only GPU nodes may have taints"
  }
  assert {
    condition = { for disk in aws_launch_template.this["a10"].block_device_mappings : disk.device_name => disk.ebs[0].encrypted == "true" } == {
      "/dev/xvda" = true
      "/dev/xvdb" = true
    } && [for disk in aws_launch_template.this["a10"].block_device_mappings : disk.ebs[0].volume_size if disk.device_name == "/dev/xvdb"] == [200]
    error_message = "the second disk must have the requested size, both must be encrypted"
  }
  assert {
    condition     = length(aws_autoscaling_group_tag.hint) == 6
    error_message = "the autoscaler's tags must contain four labels, the GPU and the taint"
  }
}

run "maximal_environment" {
  command = plan
  variables {
    nat                 = "per-zone"
    object_store        = "s3"
    sql                 = "rds"
    deletion_protection = true
    expires_at          = "2026-01-31T18:00:00+00:00"
  }
  assert {
    condition     = length(aws_nat_gateway.this) == 3 && length(distinct(values(local.nat_of))) == 3
    error_message = "expected one NAT gateway per zone, used by its own zone"
  }
  assert {
    condition     = !aws_s3_bucket.this["artifacts"].force_destroy && aws_s3_bucket.this["artifacts"].bucket == "mlops-test-artifacts-111122223333"
    error_message = "expected force_destroy = false for the bucket"
  }
  assert {
    condition     = toset(keys(aws_iam_role.project_data)) == toset(["project-data", "project-data-read"]) && aws_iam_role.project_data["project-data"].name == "mlops-test-project-data"
    error_message = "expected the roles of project data, one of which only reads"
  }
  assert {
    condition     = aws_db_instance.this["postgres"].deletion_protection && aws_db_instance.this["postgres"].storage_encrypted && aws_db_instance.this["postgres"].manage_master_user_password && aws_db_instance.this["postgres"].multi_az
    error_message = "the database must be protected, encrypted, multi-AZ, and its password not in the state"
  }
  assert {
    condition     = output.tags["mlops-platform/expires-at"] == "2026-01-31T18:00:00+00:00"
    error_message = "the tags must contain the expiry"
  }
}

run "nat_none_has_no_internet_route" {
  command = plan
  variables {
    nat = "none"
  }
  assert {
    condition     = length(aws_nat_gateway.this) == 0 && length(aws_route.private) == 0
    error_message = "expected no NAT gateway and no route to one"
  }
}

# Each run starts the provider, which takes two seconds: it has a wrong value of several variables. A rule that reads a
# wrong variable reports nothing, so such variables are in different runs.

run "rejects_wrong_values" {
  command = plan
  variables {
    service_cidr       = "10.0.128.0/20" # inside the VPC
    gpu_pools          = { a = { instance_type = "m7i.large", gpu_count = 1, max = 1 } }
    system_pool        = { min = 0, max = 2 }
    log_retention_days = 31
    expires_at         = "tomorrow"
  }
  expect_failures = [var.service_cidr, var.gpu_pools, var.system_pool, var.log_retention_days, var.expires_at]
}

run "rejects_two_zones_and_small_vpc" {
  command = plan
  variables {
    zones = ["eu-central-1a", "eu-central-1b"]
    cidr  = "10.0.0.0/24"
  }
  expect_failures = [var.zones, var.cidr]
}

run "rejects_zones_of_another_region" {
  command = plan
  variables {
    zones = ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
  }
  expect_failures = [var.zones]
}

run "rejects_gpu_count_zero_and_connected_network_that_overlaps" {
  command = plan
  variables {
    gpu_pools      = { a = { instance_type = "g5.xlarge", gpu_count = 0, max = 1 } }
    other_networks = ["192.168.0.0/16", "10.0.0.0/8"]
  }
  expect_failures = [var.gpu_pools, var.other_networks]
}

run "rejects_min_above_max" {
  command = plan
  variables {
    gpu_pools = { a = { instance_type = "g5.xlarge", gpu_count = 1, min = 3, max = 2 } }
  }
  expect_failures = [var.gpu_pools]
}
