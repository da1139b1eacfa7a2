output "cluster_name" {
  description = "The cluster's name: the name of the context."
  value       = var.context
}

output "endpoint" {
  description = "URL of the API server."
  value       = terraform_data.cluster.output.endpoint
}

output "ca" {
  description = "Certificate of the cluster's certificate authority; empty, because the kubeconfig has it."
  value       = ""
}

output "auth" {
  description = "Access to the cluster: a kubeconfig and one of its contexts."
  value       = { kubeconfig = var.kubeconfig, context = var.context }
}

output "gpu_pools" {
  description = "GPU node pools; empty, because this environment did not create them."
  value       = {}
}

output "storage_class" {
  description = "Name of the StorageClass for all volumes."
  value       = var.storage_class
}

output "object_store" {
  description = "The cloud's object store; always null: a component provides it."
  value       = null
}

output "region" {
  description = "The cluster's region."
  value       = var.region
}

output "tags" {
  description = "Tags of everything that this environment owns."
  value       = merge(var.labels, { "mlops-platform/env" = var.name })
}
