"""Scripts that run in pods of two projects: data of each, and what one tries on the other."""
