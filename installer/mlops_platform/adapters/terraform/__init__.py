"""Terraform or OpenTofu on one state: apply, destroy, and recovery from killed runs."""

from mlops_platform.adapters.terraform.binary import Binary, find_binary
from mlops_platform.adapters.terraform.terraform import Terraform

__all__ = ["Binary", "Terraform", "find_binary"]
