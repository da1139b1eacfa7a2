from probes import Probes  # type: ignore[import-not-found]

with Probes().works("it answers"):
    pass
with Probes().refused("a wrong password", ValueError, "wrong"):
    raise ValueError("wrong")
