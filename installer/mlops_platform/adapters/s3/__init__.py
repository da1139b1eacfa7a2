"""S3 buckets with temporary credentials: list, and transfers that continue where they were interrupted."""

from mlops_platform.adapters.s3.bucket import Bucket, Found

__all__ = ["Bucket", "Found"]
