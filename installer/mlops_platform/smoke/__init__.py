"""Smoke tests: positive and negative tests of each component, of the network and of Vault's policies."""
