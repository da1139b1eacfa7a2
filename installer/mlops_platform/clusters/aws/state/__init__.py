"""Remote state and the environment's record in its bucket."""
