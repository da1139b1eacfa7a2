"""Owns every contact with the outside: processes, waits, Terraform, Helm, Kubernetes, images."""
