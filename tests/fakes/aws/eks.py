"""Owns what moto's EKS lacks, and this project's Terraform asks for."""

from __future__ import annotations


def extend() -> None:
    """Add it to moto, before its server starts."""
