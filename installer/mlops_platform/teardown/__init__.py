"""Teardown: drain, destroy, sweep, verify that nothing is left."""
