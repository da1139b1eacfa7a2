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
  description = "Access to the cluster: a kubeconfig file on this machine, mode 0600."
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
  description = "The cloud's object store; null if a component provides it."
  value       = null
}

output "region" {
  description = "The cluster's region."
  value       = "host"
}

output "tags" {
  description = "Tags of everything that this environment owns."
  value       = { "mlops-platform/env" = var.name }
}
