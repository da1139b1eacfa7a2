"""Interfaces to other programs and servers: processes, waits, Terraform, Helm, Kubernetes, images."""
