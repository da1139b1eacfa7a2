"""A stand-in for the package kfp-server-api, which has no wheel. KFP imports it, and calls servers with it.

Pipelines are compiled, and run by KFP's local runner. `kfp.Client` ends with the reason.
"""

from __future__ import annotations

from typing import Any


class _Missing:
    def __init__(self, *_: Any, **__: Any) -> None:
        raise ImportError(
            "kfp-server-api is not in this image, as it has no wheel; "
            "`pip install kfp-server-api` puts it on your volume"
        )


def __getattr__(name: str) -> type[_Missing]:
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (_Missing,), {})
