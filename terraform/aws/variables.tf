variable "name" {
  description = "The environment's name. All objects get the prefix mlops-NAME."
  type        = string
  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,18}[a-z0-9])?$", var.name))
    error_message = "At most 20 lower-case letters, digits and dashes, starting with a letter."
  }
}

variable "region" {
  description = "The region of all objects."
  type        = string
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "A region, such as eu-central-1."
  }
}

variable "zones" {
  description = "Three availability zones of the region."
  type        = list(string)
  validation {
    condition     = length(var.zones) == 3 && length(distinct(var.zones)) == 3
    error_message = "Three different zones are needed."
  }
  validation {
    condition     = alltrue([for zone in var.zones : can(regex("^${var.region}[a-z]$", zone))])
    error_message = "The zones must be in the region."
  }
}

variable "kubernetes_version" {
  description = "Kubernetes version of the cluster, two numbers; AWS chooses the patch version."
  type        = string
  default     = "1.35"
  validation {
    condition     = can(regex("^1\\.[0-9]+$", var.kubernetes_version))
    error_message = "Two numbers, such as 1.35."
  }
}

variable "cidr" {
  description = "Addresses of the VPC: a private network, /16 to /20. The pods of each zone get a quarter."
  type        = string
  default     = "10.0.0.0/16"
  validation {
    condition     = can(cidrhost(var.cidr, 0)) && try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 20, false)
    error_message = "A network of /16 to /20, such as 10.20.0.0/16."
  }
  validation {
    condition     = try(cidrhost(var.cidr, 0) == split("/", var.cidr)[0], false)
    error_message = "The network's address has bits beyond its prefix."
  }
}

variable "service_cidr" {
  description = "Addresses of Kubernetes Services; must not overlap the VPC's."
  type        = string
  default     = "172.20.0.0/16"
  validation {
    condition     = can(cidrhost(var.service_cidr, 0)) && try(tonumber(split("/", var.service_cidr)[1]) >= 12 && tonumber(split("/", var.service_cidr)[1]) <= 24, false)
    error_message = "A network of /12 to /24, such as 172.20.0.0/16."
  }
  # Two networks overlap if they are equal at the shorter of their prefixes.
  validation {
    condition = try(
      cidrhost("${cidrhost(var.service_cidr, 0)}/${min(split("/", var.service_cidr)[1], split("/", var.cidr)[1])}", 0) !=
      cidrhost("${cidrhost(var.cidr, 0)}/${min(split("/", var.service_cidr)[1], split("/", var.cidr)[1])}", 0), true
    )
    error_message = "Overlaps the addresses of the VPC."
  }
}

variable "other_networks" {
  description = "Networks that will be connected to the VPC. They must not overlap it, and they may reach the API server."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for each in var.other_networks : can(cidrhost(each, 0))])
    error_message = "Networks, such as 10.20.0.0/16."
  }
  validation {
    condition = try(alltrue([for pair in setproduct(var.other_networks, [var.cidr, var.service_cidr]) :
      cidrhost("${cidrhost(pair[0], 0)}/${min(split("/", pair[0])[1], split("/", pair[1])[1])}", 0) !=
      cidrhost("${cidrhost(pair[1], 0)}/${min(split("/", pair[0])[1], split("/", pair[1])[1])}", 0)
    ]), true)
    error_message = "One of them overlaps the addresses of the VPC or of Services."
  }
}

variable "nat" {
  description = "NAT gateways for the nodes' access to the Internet: one, one per zone (survives the loss of a zone), or none."
  type        = string
  default     = "one"
  validation {
    condition     = contains(["one", "per-zone", "none"], var.nat)
    error_message = "One of: one, per-zone, none."
  }
}

variable "system_pool" {
  description = "Node pool for everything that needs no GPU; disk in GiB; zones: a subset of the cluster's, by default all."
  type = object({
    instance_type = optional(string, "m7i.xlarge")
    min           = optional(number, 2)
    max           = optional(number, 6)
    disk          = optional(number, 100)
    zones         = optional(list(string), [])
  })
  default = {}
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9-]+$", var.system_pool.instance_type))
    error_message = "instance_type: such as m7i.xlarge."
  }
  validation {
    condition     = var.system_pool.min >= 1 && var.system_pool.min <= var.system_pool.max && var.system_pool.max <= 450
    error_message = "1 <= min <= max <= 450 must hold."
  }
  validation {
    condition     = alltrue([for zone in var.system_pool.zones : contains(var.zones, zone)])
    error_message = "zones: a subset of the cluster's."
  }
  validation {
    condition     = var.system_pool.disk >= 20 && var.system_pool.disk <= 16384
    error_message = "disk: 20 to 16384 GiB."
  }
}

variable "gpu_pools" {
  description = "GPU node pools, in the same form for every cluster provider; disk in GiB, taint as key=value:Effect; zones: a subset of the cluster's, by default all."
  type = map(object({
    instance_type = string
    gpu_count     = number
    min           = optional(number, 0)
    max           = number
    spot          = optional(bool, false)
    taint         = optional(string, "nvidia.com/gpu=present:NoSchedule")
    labels        = optional(map(string), {})
    disk          = optional(number, 200)
    zones         = optional(list(string), [])
  }))
  default = {}
  validation {
    condition     = alltrue([for name, _ in var.gpu_pools : can(regex("^[a-z]([-a-z0-9]{0,28}[a-z0-9])?$", name)) && name != "system"])
    error_message = "A pool's name: at most 30 lower-case letters, digits and dashes, starting with a letter; not system."
  }
  # The same list is in installer/mlops_platform/clusters/aws/options.py. g4ad has AMD GPUs.
  validation {
    condition     = alltrue([for pool in var.gpu_pools : can(regex("^(g4dn|g5|g5g|g6|g6e|gr6|p3|p3dn|p4d|p4de|p5|p5e|p5en)\\.[a-z0-9-]+$", pool.instance_type))])
    error_message = "instance_type: a type with NVIDIA GPUs, such as g5.xlarge, g6.xlarge or p4d.24xlarge."
  }
  validation {
    condition     = alltrue([for pool in var.gpu_pools : pool.gpu_count >= 1 && pool.gpu_count <= 16])
    error_message = "gpu_count: 1 to 16, the number of GPUs of one instance."
  }
  validation {
    condition     = alltrue([for pool in var.gpu_pools : pool.min >= 0 && pool.min <= pool.max && pool.max >= 1 && pool.max <= 450])
    error_message = "0 <= min <= max <= 450 must hold, and max must be 1 or more."
  }
  validation {
    condition     = alltrue([for pool in var.gpu_pools : can(regex("^[A-Za-z0-9_./-]+=[A-Za-z0-9_.-]*:(NoSchedule|PreferNoSchedule|NoExecute)$", pool.taint))])
    error_message = "taint: such as nvidia.com/gpu=present:NoSchedule."
  }
  validation {
    condition     = alltrue([for zone in flatten([for pool in var.gpu_pools : pool.zones]) : contains(var.zones, zone)])
    error_message = "zones: a subset of the cluster's."
  }
  validation {
    condition     = alltrue([for pool in var.gpu_pools : pool.disk >= 20 && pool.disk <= 16384])
    error_message = "disk: 20 to 16384 GiB."
  }
}

variable "network_policy" {
  description = "strict: a pod has no network access until a policy allows it; standard: full access until a policy selects it."
  type        = string
  default     = "strict"
  validation {
    condition     = contains(["strict", "standard"], var.network_policy)
    error_message = "One of: strict, standard."
  }
}

variable "python" {
  description = "With network_policy strict: a Python interpreter with the package mlops_platform, which applies network policies for the cluster's own DNS and disk driver; empty: apply such policies yourself while the add-ons start."
  type        = string
  default     = ""
}

variable "object_store" {
  description = "s3: create a bucket for artifacts; in-cluster: a component provides the object store."
  type        = string
  default     = "in-cluster"
  validation {
    condition     = contains(["in-cluster", "s3"], var.object_store)
    error_message = "One of: in-cluster, s3."
  }
}

variable "sql" {
  description = "rds: create a PostgreSQL instance; in-cluster: a component provides the database."
  type        = string
  default     = "in-cluster"
  validation {
    condition     = contains(["in-cluster", "rds"], var.sql)
    error_message = "One of: in-cluster, rds."
  }
}

variable "database" {
  description = "With sql = rds: the class of the instance and its disk in GiB."
  type = object({
    instance_class = optional(string, "db.t4g.medium")
    disk           = optional(number, 50)
  })
  default = {}
  validation {
    condition     = can(regex("^db\\.[a-z0-9-]+\\.[a-z0-9]+$", var.database.instance_class)) && var.database.disk >= 20
    error_message = "An instance class such as db.t4g.medium, and 20 GiB or more."
  }
}

variable "admins" {
  description = "ARNs of IAM users and roles that are administrators of the cluster, beside its creator."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for arn in var.admins : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(user|role)/.+$", arn))])
    error_message = "ARNs of IAM users or roles, such as arn:aws:iam::111122223333:role/platform."
  }
}

variable "allowed_cidrs" {
  description = "Networks that may reach the API server from outside the VPC; empty: the endpoint is private."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for each in var.allowed_cidrs : can(cidrhost(each, 0))])
    error_message = "Networks, such as 203.0.113.0/24."
  }
}

variable "log_retention_days" {
  description = "Retention of the control plane's logs in days."
  type        = number
  default     = 30
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922], var.log_retention_days)
    error_message = "A number of days that CloudWatch supports, such as 30."
  }
}

variable "deletion_protection" {
  description = "The database cannot be deleted, and the bucket only after you have emptied it."
  type        = bool
  default     = false
}

variable "path_style" {
  description = "Use path-style addresses of buckets, for an endpoint that is not AWS's own."
  type        = bool
  default     = false
}

variable "run" {
  description = "Id of the run that created the environment; goes into the tags."
  type        = string
  default     = ""
}

variable "owner" {
  description = "Creator of the environment; goes into the tags."
  type        = string
  default     = ""
}

variable "expires_at" {
  description = "Time after which `reap` destroys the environment, RFC 3339; empty: never."
  type        = string
  default     = ""
  validation {
    condition     = var.expires_at == "" || can(formatdate("YYYY", var.expires_at))
    error_message = "RFC 3339, such as 2026-01-31T18:00:00+00:00."
  }
}
