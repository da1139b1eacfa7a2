terraform {
  backend "local" {}
}

variable "status" { type = number }

resource "terraform_data" "well" {}

resource "terraform_data" "ill" {
  depends_on = [terraform_data.well]
  provisioner "local-exec" {
    command = "echo the disk said no >&2; exit ${var.status}"
  }
}

check "advice" {
  assert {
    condition     = var.status == 0
    error_message = "a status other than 0 is not advised"
  }
}
