"""Start and stop of the node from the host, and the node's PID 1."""
