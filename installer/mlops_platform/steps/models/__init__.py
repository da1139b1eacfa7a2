"""Models of projects: found in the registry, served, scored."""
