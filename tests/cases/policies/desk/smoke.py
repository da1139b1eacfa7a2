"""Read with its catalogue, never run."""

from probes import Probes  # type: ignore[import-not-found]

with Probes().works("it answers"), Probes().refused("an error", ValueError, ""):
    raise ValueError
