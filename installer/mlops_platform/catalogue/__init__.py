"""The components: component.yaml, the catalogue and its graph, checks and bundles."""
