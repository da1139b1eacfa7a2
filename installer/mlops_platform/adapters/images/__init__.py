"""Owns OCI images without a container engine: recipes in, archives that containerd imports out."""

from mlops_platform.adapters.images.images import Images
from mlops_platform.adapters.images.recipe import find_recipes

__all__ = ["Images", "find_recipes"]
