"""A real node for tests with running pods: the host cluster, its add-ons, an image with Python."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlops_platform.adapters.images import Images, find_recipes
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.programs import Programs
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.paths import Paths
from mlops_platform.base.progress import Silent
from mlops_platform.clusters.host.cluster import RECIPES, HostCluster


@dataclass(frozen=True)
class Node:
    """A running node; `image` has `python3`."""

    name: str
    kubeconfig: Path
    kube: Kube
    image: str


@contextmanager
def running_node(name: str, folder: Path) -> Iterator[Node]:
    """Run a node with programs of the cache; remove it afterwards."""
    quiet, paths = Silent(), Paths.default()
    programs = Programs(paths.cache)
    images = Images(paths.cache, programs, find_recipes(RECIPES, paths.assets / "images"))
    provider = HostCluster(name, folder / name, programs, images)
    for program in provider.programs:
        programs.build(program, quiet, Cancel())
    try:
        provider.revive(quiet, Cancel())
        archives = [images.build(image, quiet, Cancel()) for image in (*provider.images, "python")]
        provider.load_images(archives, quiet, Cancel())
        kube = Kube(provider.kubeconfig)
        kube.apply(*provider.addons())
        yield Node(name, provider.kubeconfig, kube, images.reference("python"))
    finally:
        provider.teardown.sweep(provider.teardown.inventory(), quiet)
        provider.teardown.destroy_files(keep_data=False, progress=quiet)
