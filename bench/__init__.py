"""Measures all figures in one run on this machine; writes results.json and docs/performance.md."""
