output "cluster_name" {
  description = "The cluster's name: that of the context."
  value       = var.context
}

output "endpoint" {
  description = "URL of the API server."
  value       = terraform_data.cluster.output.endpoint
}

output "ca" {
  description = "Certificate of the cluster's certificate authority: the kubeconfig has it."
  value       = ""
}

output "auth" {
  description = "How to log in: a kubeconfig and one of its contexts."
  value       = { kubeconfig = var.kubeconfig, context = var.context }
}

output "gpu_pools" {
  description = "GPU node pools: whoever made the cluster knows."
  value       = {}
}

output "storage_class" {
  description = "Name of the StorageClass volumes are made of."
  value       = var.storage_class
}

output "object_store" {
  description = "The cloud's object store; null: a component provides it."
  value       = null
}

output "region" {
  description = "Where the cluster is."
  value       = var.region
}

output "tags" {
  description = "What marks everything this environment owns."
  value       = merge(var.labels, { "mlops-platform/env" = var.name })
}
