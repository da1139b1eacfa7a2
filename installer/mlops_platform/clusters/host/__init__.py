"""The `host` cluster provider: a real Kubernetes node on this machine, in namespaces of its own.

PID 1 of the node is a module of this package too, so nothing is imported here.
"""
