"""What one run shares: context, clients, secrets, template variables."""
