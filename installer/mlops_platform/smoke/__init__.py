"""Owns proving that a component works, and keeps out what must stay out."""
