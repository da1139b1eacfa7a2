variable "name" {
  description = "The environment's name; also the name of the node, its network interface and its cgroups."
  type        = string
  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,18}[a-z0-9])?$", var.name))
    error_message = "At most 20 lower-case letters, digits and dashes, starting with a letter."
  }
}

variable "config" {
  description = "Absolute path of the node's node.json, which must exist before `terraform apply`."
  type        = string
  validation {
    condition     = startswith(var.config, "/")
    error_message = "An absolute path."
  }
}

variable "python" {
  description = "A Python interpreter that has the package mlops_platform."
  type        = string
}

variable "fingerprint" {
  description = "Digest of the node's programs and settings; a new digest restarts the node."
  type        = string
}

variable "endpoint" {
  description = "URL of the API server, reachable from this machine."
  type        = string
  validation {
    condition     = startswith(var.endpoint, "https://")
    error_message = "An https:// URL."
  }
}

variable "ca" {
  description = "Certificate of the cluster's certificate authority, PEM."
  type        = string
  default     = ""
}

variable "kubeconfig" {
  description = "Absolute path of the administrator's kubeconfig; Terraform never reads its contents."
  type        = string
}

variable "storage_class" {
  description = "Name of the default StorageClass."
  type        = string
}

variable "gpu_pools" {
  description = "GPU node pools, in the same form for every cluster provider. The host cluster has none."
  type = map(object({
    instance_type = string
    gpu_count     = number
    min           = number
    max           = number
    spot          = optional(bool, false)
    taint         = optional(string, "nvidia.com/gpu=present:NoSchedule")
    labels        = optional(map(string), {})
    disk          = optional(number, 100)
  }))
  default = {}
  validation {
    condition     = length(var.gpu_pools) == 0
    error_message = "The host cluster is this machine: it cannot create GPU nodes."
  }
}
