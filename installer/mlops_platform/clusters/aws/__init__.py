"""The `aws` cluster provider: EKS created by Terraform, in an account that may hold other things too."""
