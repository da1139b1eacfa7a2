"""Owns Terraform and OpenTofu: one state, applied, destroyed and recovered, whoever is killed on the way."""

from mlops_platform.adapters.terraform.binary import Binary, find_binary
from mlops_platform.adapters.terraform.terraform import Terraform

__all__ = ["Binary", "Terraform", "find_binary"]
