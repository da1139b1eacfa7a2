terraform {
  required_version = ">= 1.10.0" # the state's lock file in S3

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.95, < 7"
    }
  }

  # The caller chooses the bucket: `terraform init -backend-config=bucket=… -backend-config=key=…`.
  backend "s3" {}
}

provider "aws" {
  region            = var.region
  s3_use_path_style = var.path_style

  default_tags {
    tags = local.tags
  }
}
