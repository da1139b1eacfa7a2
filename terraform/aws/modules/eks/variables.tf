variable "name" {
  description = "The cluster's name."
  type        = string
}

variable "region" {
  description = "The cluster's region."
  type        = string
}

variable "partition" {
  description = "Partition of the ARNs of AWS's own policies: aws, aws-cn, aws-us-gov."
  type        = string
}

variable "kubernetes_version" {
  description = "Kubernetes version, two numbers."
  type        = string
}

variable "control_subnet_ids" {
  description = "Subnets of the control plane's network interfaces."
  type        = list(string)
}

variable "subnets" {
  description = "Subnets of the nodes, by zone."
  type        = map(string)
}

variable "service_cidr" {
  description = "Addresses of Services."
  type        = string
}

variable "allowed_cidrs" {
  description = "Networks that may reach the API server from outside the VPC."
  type        = list(string)
}

variable "admins" {
  description = "ARNs of IAM users and roles that are administrators, beside the cluster's creator."
  type        = list(string)
}

variable "key_arn" {
  description = "The KMS key that encrypts Secrets."
  type        = string
}

variable "log_retention_days" {
  description = "Retention of the control plane's logs in days."
  type        = number
}

variable "network_policy" {
  description = "strict or standard."
  type        = string
}

variable "python" {
  description = "A Python interpreter with the package mlops_platform; empty: none."
  type        = string
}

variable "system_pool" {
  description = "Node pool for everything that needs no GPU."
  type        = object({ instance_type = string, min = number, max = number, disk = number, zones = list(string) })
}

variable "gpu_pools" {
  description = "GPU node pools."
  type = map(object({
    instance_type = string
    gpu_count     = number
    min           = number
    max           = number
    spot          = bool
    taint         = string
    labels        = map(string)
    disk          = number
    zones         = list(string)
  }))
}

variable "tags" {
  description = "Tags of instances and disks, which AWS creates without the provider's default tags."
  type        = map(string)
}
