# An EKS cluster in a VPC of its own. What each file makes: network, keys and cluster here, stores.tf the rest.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}

locals {
  cluster = "mlops-${var.name}"
  # Every object's name begins so; tags, not names, say whose it is.
  prefix = "${local.cluster}-"

  tags = { for key, value in {
    "mlops-platform/env"        = var.name
    "mlops-platform/run"        = var.run
    "mlops-platform/owner"      = var.owner
    "mlops-platform/expires-at" = var.expires_at
  } : key => value if value != "" }
}

# Secrets in etcd are encrypted with it, so is what stores.tf makes. Deleting it takes a week: AWS allows no less.
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
  subnet_ids         = [for zone in var.zones : aws_subnet.private[zone].id]
  service_cidr       = var.service_cidr
  allowed_cidrs      = var.allowed_cidrs
  admins             = var.admins
  key_arn            = aws_kms_key.this.arn
  log_retention_days = var.log_retention_days
  network_policy     = var.network_policy
  python             = var.python
  system_pool        = var.system_pool
  gpu_pools          = var.gpu_pools
  tags               = local.tags

  # Nodes join over the NAT gateway; on the way down its routes must outlive them.
  depends_on = [aws_route.private, aws_route_table_association.private, aws_vpc_endpoint.s3]
}
