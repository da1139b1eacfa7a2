variable "name" {
  description = "The environment's name."
  type        = string
  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,18}[a-z0-9])?$", var.name))
    error_message = "Lower-case letters, digits and dashes, at most 20, a letter first."
  }
}

variable "kubeconfig" {
  description = "Absolute path of a kubeconfig; its contents never pass through Terraform."
  type        = string
  validation {
    condition     = startswith(var.kubeconfig, "/")
    error_message = "An absolute path."
  }
}

variable "context" {
  description = "Which of the kubeconfig's contexts."
  type        = string
  validation {
    condition     = var.context != ""
    error_message = "A context must be named: the current one changes under people's hands."
  }
}

variable "endpoint" {
  description = "URL of the API server, as the kubeconfig has it."
  type        = string
  validation {
    condition     = startswith(var.endpoint, "https://")
    error_message = "An https:// URL."
  }
}

variable "storage_class" {
  description = "Name of the StorageClass volumes are made of."
  type        = string
}

variable "region" {
  description = "Where the cluster is, for people."
  type        = string
  default     = "existing"
}

variable "labels" {
  description = "What marks everything this environment owns, beside its name."
  type        = map(string)
  default     = {}
}
