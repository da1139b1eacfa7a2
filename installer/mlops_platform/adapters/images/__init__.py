"""OCI images made of recipes, without a container engine, as archives that containerd imports."""

from mlops_platform.adapters.images.images import Images
from mlops_platform.adapters.images.recipe import find_recipes

__all__ = ["Images", "find_recipes"]
