"""Owns the run: the step protocol, the parallel engine, the journal and the lock."""
