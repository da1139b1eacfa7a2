variable "name" {
  description = "The environment's name."
  type        = string
  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,18}[a-z0-9])?$", var.name))
    error_message = "At most 20 lower-case letters, digits and dashes, starting with a letter."
  }
}

variable "kubeconfig" {
  description = "Absolute path of a kubeconfig; Terraform never reads its contents."
  type        = string
  validation {
    condition     = startswith(var.kubeconfig, "/")
    error_message = "An absolute path."
  }
}

variable "context" {
  description = "The context of the kubeconfig."
  type        = string
  validation {
    condition     = var.context != ""
    error_message = "Name a context: the current context can change at any time."
  }
}

variable "endpoint" {
  description = "URL of the API server in the kubeconfig."
  type        = string
  validation {
    condition     = startswith(var.endpoint, "https://")
    error_message = "An https:// URL."
  }
}

variable "storage_class" {
  description = "Name of the StorageClass for all volumes."
  type        = string
}

variable "region" {
  description = "The cluster's region, for display only."
  type        = string
  default     = "existing"
}

variable "labels" {
  description = "Tags of everything that this environment owns, beside its name."
  type        = map(string)
  default     = {}
}
