"""Helm releases: source and values."""
