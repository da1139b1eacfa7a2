"""mlops-platform: a Kubernetes MLOps platform that is installed, tested and removed with one command each."""

__version__ = "0.1.0"
