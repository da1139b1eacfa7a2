output "cluster_name" {
  description = "The cluster's name."
  value       = module.eks.name
}

output "endpoint" {
  description = "URL of the API server."
  value       = module.eks.endpoint
}

output "ca" {
  description = "Certificate of the cluster's certificate authority, base64 of PEM."
  value       = module.eks.ca
}

output "auth" {
  description = "Access to the cluster: the AWS CLI command that writes a kubeconfig."
  value = {
    command = "aws eks update-kubeconfig --name ${local.cluster} --region ${var.region}"
  }
  depends_on = [module.eks]
}

output "gpu_pools" {
  description = "GPU node pools, by name."
  value       = var.gpu_pools
}

output "storage_class" {
  description = "Name of the default StorageClass, which mlops-platform creates."
  value       = "gp3"
}

output "object_store" {
  description = "The bucket for artifacts and the role that pods use for it; null if a component provides the object store."
  value = one([for key, bucket in aws_s3_bucket.this : {
    bucket = bucket.id
    region = var.region
    role   = aws_iam_role.bucket[key].arn
  }])
}

output "sql" {
  description = "The database and the Secrets Manager secret with its password; null if a component provides the database."
  value = one([for database in aws_db_instance.this : {
    host   = database.address
    port   = database.port
    user   = database.username
    secret = one(database.master_user_secret[*].secret_arn)
  }])
}

output "region" {
  description = "The cluster's region."
  value       = var.region
}

output "tags" {
  description = "Tags of everything that this environment owns."
  value       = local.tags
}
