"""State that one run shares: context, clients, secrets, template variables."""
