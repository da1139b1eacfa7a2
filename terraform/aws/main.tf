# An EKS cluster in its own VPC. This file has the key and the cluster; network.tf, registry.tf and stores.tf the rest.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}

locals {
  cluster = "mlops-${var.name}"
  # Prefix of every name. Ownership is in the tags, not in the names.
  prefix = "${local.cluster}-"

  tags = { for key, value in {
    "mlops-platform/env"        = var.name
    "mlops-platform/run"        = var.run
    "mlops-platform/owner"      = var.owner
    "mlops-platform/expires-at" = var.expires_at
  } : key => value if value != "" }
}

# Encrypts Secrets in etcd and the stores of stores.tf. AWS deletes a key after seven days at the earliest.
resource "aws_kms_key" "this" {
  description             = "mlops-platform ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 7
  tags                    = { Name = "${local.prefix}key" }
}

resource "aws_kms_alias" "this" {
  name          = "alias/${local.cluster}"
  target_key_id = aws_kms_key.this.key_id
}

module "eks" {
  source = "./modules/eks"

  name               = local.cluster
  region             = var.region
  partition          = data.aws_partition.this.partition
  kubernetes_version = var.kubernetes_version
  control_subnet_ids = [for zone in var.zones : aws_subnet.control[zone].id]
  subnets            = { for zone in var.zones : zone => aws_subnet.private[zone].id }
  service_cidr       = var.service_cidr
  allowed_cidrs      = var.allowed_cidrs
  admins             = var.admins
  key_arn            = aws_kms_key.this.arn
  log_retention_days = var.log_retention_days
  network_policy     = var.network_policy
  python             = var.python
  system_pool        = var.system_pool
  gpu_pools          = var.gpu_pools
  # Without the expiry: instances carry these tags, so a new expiry would replace every node.
  tags = { for key, value in local.tags : key => value if key != "mlops-platform/expires-at" }

  # Nodes join over the NAT gateway, so Terraform must destroy its routes after the nodes.
  depends_on = [aws_route.private, aws_route_table_association.private, aws_vpc_endpoint.s3]
}

# The API server's private address is in the security group that EKS makes, which admits only its own members.
# https://docs.aws.amazon.com/eks/latest/userguide/cluster-endpoint.html#private-access
resource "aws_vpc_security_group_ingress_rule" "connected" {
  for_each          = toset(var.other_networks)
  security_group_id = module.eks.security_group_id
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  description       = "API server"
  tags              = { Name = "${local.prefix}connected-${each.value}" }
}
