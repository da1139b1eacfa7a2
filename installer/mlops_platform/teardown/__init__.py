"""Owns the way down: drain, destroy, sweep, and the proof that nothing is left."""
