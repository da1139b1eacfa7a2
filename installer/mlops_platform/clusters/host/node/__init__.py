"""Owns the node's life: starting and stopping it from the host, and its PID 1."""
