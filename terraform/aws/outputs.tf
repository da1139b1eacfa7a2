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
  description = "How to log in: the command of AWS's own tool that writes a kubeconfig."
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
  description = "Name of the default StorageClass, which the installer makes."
  value       = "gp3"
}

output "object_store" {
  description = "The bucket for artifacts and the role pods use it with; null where a component provides it."
  value = one([for key, bucket in aws_s3_bucket.this : {
    bucket = bucket.id
    region = var.region
    role   = aws_iam_role.bucket[key].arn
  }])
}

output "sql" {
  description = "The database, and the Secrets Manager secret with its password; null where a component provides it."
  value = one([for database in aws_db_instance.this : {
    host   = database.address
    port   = database.port
    user   = database.username
    secret = one(database.master_user_secret[*].secret_arn)
  }])
}

output "region" {
  description = "Where the cluster is."
  value       = var.region
}

output "tags" {
  description = "What marks everything this environment owns."
  value       = local.tags
}
