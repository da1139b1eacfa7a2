# A cluster that already exists: Terraform creates and destroys nothing, it only records which cluster it is.

resource "terraform_data" "cluster" {
  input = {
    context  = var.context
    endpoint = var.endpoint
  }
}
