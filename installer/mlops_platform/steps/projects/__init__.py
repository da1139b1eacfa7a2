"""Projects: namespaces of teams, with members, quota, policies, and what components do for them."""
