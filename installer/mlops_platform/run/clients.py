"""Clients of a cluster that exists."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from mlops_platform.clusters.base import Cluster, ClusterAccess
from mlops_platform.engine.graph import Slot

if TYPE_CHECKING:
    from mlops_platform.adapters.kube import Kube
    from mlops_platform.adapters.kube.endpoints import Address


class Clients:
    """Clients of a cluster that exists; made on first use, shared by all threads."""

    def __init__(
        self, access: Slot[ClusterAccess], before_change: Callable[[Kube], None], *, ahead: bool = False
    ) -> None:
        """`ahead`: read whole kinds until the first change; for a cluster that belongs to the environment."""
        self._access = access
        self._before_change = before_change
        self._ahead = ahead
        self._lock = threading.Lock()
        self._writing = False
        self._images: frozenset[str] | None = None

    @cached_property
    def kube(self) -> Kube:
        from mlops_platform.adapters.kube import Kube  # imported at use: start-up time
        from mlops_platform.adapters.kube.ahead import ReadAhead  # imported at use: start-up time

        access = self._access.get()
        made = ReadAhead if self._ahead else Kube
        return made(access.kubeconfig, access.token)

    @cached_property
    def api_addresses(self) -> tuple[Address, ...]:
        """The addresses of the API server, read once, on first use."""
        from mlops_platform.adapters.kube.endpoints import api_addresses  # imported at use: start-up time

        return api_addresses(self.kube)

    @cached_property
    def node_addresses(self) -> tuple[str, ...]:
        """The addresses of the nodes, read once, on first use."""
        from mlops_platform.adapters.kube.endpoints import node_addresses  # imported at use: start-up time

        return node_addresses(self.kube)

    def images(self, cluster: Cluster) -> frozenset[str]:
        """The images on the nodes at the first call: many steps ask, one request answers."""
        with self._lock:
            if self._images is None:
                self._images = cluster.images_present()
            return self._images

    def kube_for_write(self) -> Kube:
        """The client for a step that changes the cluster; takes the environment's lease first."""
        with self._lock:
            if not self._writing:
                self.kube.changes()
                self._before_change(self.kube)
                self._writing = True
        return self.kube
