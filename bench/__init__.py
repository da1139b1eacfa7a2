"""Owns the figures: measured in one run on this machine, written to results.json and docs/performance.md."""
