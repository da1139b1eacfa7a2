# Only on request: an S3 bucket and an RDS instance in place of the components in the cluster.

locals {
  with_bucket   = var.object_store == "s3" ? { artifacts = true } : {}
  with_database = var.sql == "rds" ? { postgres = true } : {}
}

resource "aws_s3_bucket" "this" {
  for_each      = local.with_bucket
  bucket        = "${local.prefix}${each.key}-${data.aws_caller_identity.this.account_id}"
  force_destroy = !var.deletion_protection
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each                = aws_s3_bucket.this
  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = aws_s3_bucket.this
  bucket   = each.value.id
  versioning_configuration {
    status = "Enabled"
  }
}

# Parts of unfinished uploads appear in no listing and cost money forever.
resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = aws_s3_bucket.this
  bucket   = each.value.id
  rule {
    id     = "unfinished"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = aws_s3_bucket.this
  bucket   = each.value.id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.this.arn
    }
  }
}

# Pods get this role by EKS Pod Identity, without keys. Each namespace may use the prefix of the bucket that has its
# name: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-abac.html
resource "aws_iam_role" "bucket" {
  for_each           = aws_s3_bucket.this
  name               = "${local.prefix}${each.key}"
  assume_role_policy = module.eks.pod_identity_trust
}

resource "aws_iam_role_policy" "bucket" {
  for_each = aws_s3_bucket.this
  name     = "bucket"
  role     = aws_iam_role.bucket[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = ["s3:ListBucket", "s3:GetBucketLocation"], Resource = [each.value.arn] },
      { Effect = "Allow", Action = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"], Resource = ["${each.value.arn}/$${aws:PrincipalTag/kubernetes-namespace}/*"] },
      { Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = [aws_kms_key.this.arn] },
    ]
  })
}

# Data of projects, which are namespaces: each below a prefix of its own. Names of objects of others are not listed either.
locals {
  project_prefix = "projects/$${aws:PrincipalTag/kubernetes-namespace}/data"
  project_reads  = ["s3:GetObject"]
  project_writes = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
  project_data = {
    for role, actions in {
      project-data      = concat(local.project_reads, local.project_writes)
      project-data-read = local.project_reads
    } : role => actions if var.object_store == "s3"
  }
}

resource "aws_iam_role" "project_data" {
  for_each           = local.project_data
  name               = "${local.prefix}${each.key}"
  assume_role_policy = module.eks.pod_identity_trust
}

resource "aws_iam_role_policy" "project_data" {
  for_each = local.project_data
  name     = "data"
  role     = aws_iam_role.project_data[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = ["s3:GetBucketLocation"], Resource = [aws_s3_bucket.this["artifacts"].arn] },
      { Effect = "Allow", Action = ["s3:ListBucket"], Resource = [aws_s3_bucket.this["artifacts"].arn], Condition = { StringLike = { "s3:prefix" = ["${local.project_prefix}/*"] } } },
      { Effect = "Allow", Action = each.value, Resource = ["${aws_s3_bucket.this["artifacts"].arn}/${local.project_prefix}/*"] },
      { Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = [aws_kms_key.this.arn] },
    ]
  })
}

resource "aws_db_subnet_group" "this" {
  for_each   = local.with_database
  name       = "${local.prefix}${each.key}"
  subnet_ids = [for zone in var.zones : aws_subnet.private[zone].id]
}

resource "aws_security_group" "database" {
  for_each    = local.with_database
  name        = "${local.prefix}${each.key}"
  description = "PostgreSQL, from the cluster's nodes and pods"
  vpc_id      = aws_vpc.this.id
  tags        = { Name = "${local.prefix}${each.key}" }
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  for_each                     = local.with_database
  security_group_id            = aws_security_group.database[each.key].id
  referenced_security_group_id = module.eks.security_group_id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
  description                  = "cluster"
  tags                         = { Name = "${local.prefix}${each.key}-cluster" }
}

resource "aws_db_instance" "this" {
  for_each       = local.with_database
  identifier     = "${local.prefix}${each.key}"
  engine         = "postgres"
  engine_version = "17"
  instance_class = var.database.instance_class
  db_name        = "platform"
  username       = "platform"
  # AWS generates the password and stores it in Secrets Manager, so Terraform's state does not have it.
  manage_master_user_password = true

  allocated_storage     = var.database.disk
  max_allocated_storage = var.database.disk * 4
  storage_type          = "gp3"
  storage_encrypted     = true
  kms_key_id            = aws_kms_key.this.arn

  db_subnet_group_name   = aws_db_subnet_group.this[each.key].name
  vpc_security_group_ids = [aws_security_group.database[each.key].id]
  multi_az               = var.nat == "per-zone"

  auto_minor_version_upgrade = true
  backup_retention_period    = 7
  copy_tags_to_snapshot      = true
  deletion_protection        = var.deletion_protection
  # A protected database cannot be deleted at all. `down` asks about the data before the protection is lifted.
  skip_final_snapshot = true
}
