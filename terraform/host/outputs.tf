output "cluster_name" {
  description = "The cluster's name."
  value       = var.name
  depends_on  = [terraform_data.node]
}

output "endpoint" {
  description = "URL of the API server."
  value       = var.endpoint
}

output "ca" {
  description = "Certificate of the cluster's certificate authority, PEM."
  value       = var.ca
}

output "auth" {
  description = "How to log in: a kubeconfig file on this machine, mode 0600."
  value       = { kubeconfig = var.kubeconfig }
}

output "gpu_pools" {
  description = "GPU node pools, by name."
  value       = var.gpu_pools
}

output "storage_class" {
  description = "Name of the default StorageClass."
  value       = var.storage_class
}

output "object_store" {
  description = "The cloud's object store; null where a component provides it."
  value       = null
}

output "region" {
  description = "Where the cluster is."
  value       = "host"
}

output "tags" {
  description = "What marks everything this environment owns."
  value       = { "mlops-platform/env" = var.name }
}
