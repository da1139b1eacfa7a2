"""Pipelines of projects: a compiled pipeline is checked, and run by a Job of the project."""
