variable "name" {
  description = "The environment's name: the node, its interface and its cgroups are named after it."
  type        = string
  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,18}[a-z0-9])?$", var.name))
    error_message = "Lower-case letters, digits and dashes, at most 20, a letter first."
  }
}

variable "config" {
  description = "Absolute path of the node's node.json, which must be there before this root is applied."
  type        = string
  validation {
    condition     = startswith(var.config, "/")
    error_message = "An absolute path."
  }
}

variable "python" {
  description = "The Python interpreter in which the installer package can be imported."
  type        = string
}

variable "fingerprint" {
  description = "Digest of all the node is started with; another one restarts it."
  type        = string
}

variable "endpoint" {
  description = "URL of the API server, as this machine reaches it."
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
  description = "Absolute path of the administrator's kubeconfig; its contents never pass through Terraform."
  type        = string
}

variable "storage_class" {
  description = "Name of the default StorageClass."
  type        = string
}

variable "gpu_pools" {
  description = "GPU node pools, the same shape for every cluster provider. A plain machine has none."
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
    error_message = "The host cluster is this machine: it cannot make GPU nodes."
  }
}
