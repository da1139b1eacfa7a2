"""The steps of the plan: each observes, acts on a difference, and reports."""
