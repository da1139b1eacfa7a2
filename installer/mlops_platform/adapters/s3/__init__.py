"""S3 buckets: list, and transfers that continue where they were interrupted."""

from mlops_platform.adapters.s3.bucket import Bucket, Found, exchanging

__all__ = ["Bucket", "Found", "exchanging"]
