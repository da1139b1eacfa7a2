"""Owns the cluster providers: one module or package each, found by name."""
