"""The `existing` cluster provider: a cluster that is there already; nothing of it is created or destroyed."""
