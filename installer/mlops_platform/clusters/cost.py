"""The cost of a cluster; the default is that of a cluster that costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mlops_platform.adapters.terraform.changes import Change
    from mlops_platform.clusters.bill import Bill


class Cost(Protocol):
    """The price of an environment, and the data in its objects."""

    def bill(self, volumes: float) -> Bill | None:
        """The price of the cluster with `volumes` GiB of disks for components; None: nothing. No request."""

    def data_loss(self, change: Change) -> str:
        """The data that is lost with an object that Terraform destroys, in words; '' when none is."""

    def created_at(self) -> str:
        """The start of the environment's costs, RFC 3339; '' when it costs nothing or is unknown."""


class _NoCost:
    def bill(self, volumes: float) -> None:
        return None

    def data_loss(self, change: Change) -> str:
        return ""

    def created_at(self) -> str:
        return ""


NO_COST: Cost = _NoCost()
