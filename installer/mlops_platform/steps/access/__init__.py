"""Sign-on: OIDC clients, routes, users and the certificate."""
