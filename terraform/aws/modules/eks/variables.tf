variable "name" {
  description = "The cluster's name."
  type        = string
}

variable "region" {
  description = "The cluster's region."
  type        = string
}

variable "partition" {
  description = "Of the ARNs of AWS's own policies: aws, aws-cn, aws-us-gov."
  type        = string
}

variable "kubernetes_version" {
  description = "Two numbers."
  type        = string
}

variable "control_subnet_ids" {
  description = "Where the control plane has its interfaces."
  type        = list(string)
}

variable "subnets" {
  description = "Where nodes are: by zone."
  type        = map(string)
}

variable "service_cidr" {
  description = "Addresses of Services."
  type        = string
}

variable "allowed_cidrs" {
  description = "Who may reach the API server from outside the VPC."
  type        = list(string)
}

variable "admins" {
  description = "ARNs of those who may do everything, beside whoever makes the cluster."
  type        = list(string)
}

variable "key_arn" {
  description = "The key Secrets are encrypted with."
  type        = string
}

variable "log_retention_days" {
  description = "How long the control plane's logs are kept."
  type        = number
}

variable "network_policy" {
  description = "strict or standard."
  type        = string
}

variable "python" {
  description = "A Python with the installer package; empty: none."
  type        = string
}

variable "system_pool" {
  description = "Nodes for everything that needs no GPU."
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
  description = "For what AWS makes in our name, to which the provider's default tags do not go: instances, disks."
  type        = map(string)
}
