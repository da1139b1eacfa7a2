"""Teardown on AWS: inventory, sweep, retain."""
