"""mlops-platform: a Kubernetes MLOps platform that comes up, is proven, and goes away."""

__version__ = "0.1.0"
