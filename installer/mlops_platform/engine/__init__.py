"""A run: the step protocol, the graph, the parallel engine, the journal and smoke results."""
