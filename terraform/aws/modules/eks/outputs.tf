output "name" {
  description = "The cluster's name; it depends on the add-ons and on the administrators' access."
  value       = aws_eks_cluster.this.name
  depends_on  = [aws_eks_addon.after, aws_eks_access_policy_association.admin]
}

output "endpoint" {
  description = "URL of the API server."
  value       = aws_eks_cluster.this.endpoint
}

output "ca" {
  description = "Certificate of the cluster's certificate authority, base64 of PEM."
  value       = one(aws_eks_cluster.this.certificate_authority[*].data)
}

output "security_group_id" {
  description = "The security group that EKS makes for the control plane, nodes and pods."
  value       = one(aws_eks_cluster.this.vpc_config[*].cluster_security_group_id)
}

output "pod_identity_trust" {
  description = "The trust policy of roles for EKS Pod Identity."
  value       = local.pod_identity_trust
}
