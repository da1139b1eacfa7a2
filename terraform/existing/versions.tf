terraform {
  required_version = ">= 1.6.0"

  # Where the state lies is the caller's to say: `terraform init -backend-config=path=FILE`.
  backend "local" {}
}
