from probes import Probes  # type: ignore[import-not-found]

with Probes().works("it answers"):
    pass
