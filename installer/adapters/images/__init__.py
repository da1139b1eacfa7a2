"""Owns OCI images without a container engine: recipes in, archives that containerd imports out."""

from installer.adapters.images.images import Images
from installer.adapters.images.recipe import find_recipes

__all__ = ["Images", "find_recipes"]
