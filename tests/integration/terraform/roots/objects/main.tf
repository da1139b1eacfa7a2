# Six objects in two ranks. Each is a file; every act is recorded, also two acts on one object
# at the same time. No act ends while there is a file `hold`.

terraform {
  required_version = ">= 1.6.0"
  backend "local" {}
}

variable "folder" { type = string }
variable "count_of_each" { type = number }
variable "seconds" { type = number }

locals {
  gate   = "while [ -e \"$F/hold\" ]; do sleep 0.02; done"
  make   = "exec 9>>\"$F/lock-$N\"; flock -n 9 || echo \"$N\" >>\"$F/overlaps\"; sleep $S; ${local.gate}; echo \"$N\" >>\"$F/made\"; : >\"$F/object-$N\""
  unmake = "sleep $S; ${local.gate}; rm -f \"$F/object-$N\""
}

resource "terraform_data" "first" {
  count = var.count_of_each
  input = { F = var.folder, N = "first-${count.index}", S = var.seconds, unmake = local.unmake }
  provisioner "local-exec" {
    command     = local.make
    environment = { F = self.input.F, N = self.input.N, S = self.input.S }
  }
  provisioner "local-exec" {
    when        = destroy
    command     = self.input.unmake
    environment = { F = self.input.F, N = self.input.N, S = self.input.S }
  }
}

resource "terraform_data" "second" {
  count      = var.count_of_each
  depends_on = [terraform_data.first]
  input      = { F = var.folder, N = "second-${count.index}", S = var.seconds, unmake = local.unmake }
  provisioner "local-exec" {
    command     = local.make
    environment = { F = self.input.F, N = self.input.N, S = self.input.S }
  }
  provisioner "local-exec" {
    when        = destroy
    command     = self.input.unmake
    environment = { F = self.input.F, N = self.input.N, S = self.input.S }
  }
}

output "names" {
  value = concat(terraform_data.first[*].output.N, terraform_data.second[*].output.N)
}
