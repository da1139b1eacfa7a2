"""Secrets: Vault's configuration and rotation."""
