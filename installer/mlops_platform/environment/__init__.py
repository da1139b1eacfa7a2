"""The environment file: model, checks and OIDC issuer."""
