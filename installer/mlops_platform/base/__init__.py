"""Errors, cancellation, files, YAML, quantities: imported by all, imports no other package."""
