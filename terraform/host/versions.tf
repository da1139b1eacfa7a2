terraform {
  required_version = ">= 1.6.0"

  # The caller chooses the state file: `terraform init -backend-config=path=FILE`.
  backend "local" {}
}
