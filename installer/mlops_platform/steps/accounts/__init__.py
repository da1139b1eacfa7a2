"""Accounts of components at their providers."""
