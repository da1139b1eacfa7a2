"""Images of a run: references known without a build, layers built once, archives to load."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from mlops_platform.adapters.buildonce import build_once
from mlops_platform.adapters.images import oci
from mlops_platform.adapters.images.layer import pack
from mlops_platform.adapters.images.parts import FORMAT, Below, Part, Workplace, digest, parts, runtime_inputs
from mlops_platform.adapters.images.recipe import Read, Recipe, read_recipes
from mlops_platform.adapters.images.store import Image, Store, read_image, read_layer, write
from mlops_platform.adapters.programs import Program, Programs
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.progress import Progress
from mlops_platform.base.yaml import read_text

_PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^ \\;]+)", re.MULTILINE)


class Images:
    """Images by the name of their recipe. The first use reads all recipes and may raise ConfigurationError.

    `pushed` maps an image's key to its reference in a registry; None: images are loaded onto nodes.
    """

    def __init__(
        self,
        cache: Path,
        programs: Programs,
        recipes: Mapping[str, Path],
        pushed: Callable[[str], str] | None = None,
    ) -> None:
        self._cache = cache
        self._store = Store(cache)
        self._programs = programs
        self._folders = recipes
        self._pushed = pushed
        self._digests: dict[str, str] = {}

    def names(self) -> tuple[str, ...]:
        return tuple(self._folders)

    def base(self, name: str) -> str | None:
        """Return the base recipe."""
        return self._recipe(name).base or None

    def bases(self, name: str) -> tuple[str, ...]:
        """Return all base recipes, the nearest first."""
        base = self.base(name)
        return (base, *self.bases(base)) if base else ()

    def packages(self, name: str) -> dict[str, str]:
        """Return the pinned Python packages of its layers, those of bases included, with their versions."""
        locks = [each.source(each.recipe.pip) for each in self._chain(name) if each.recipe.pip]
        return {key: version for lock in locks for key, version in _PIN.findall(read_text(lock))}

    def programs(self, name: str) -> tuple[Program, ...]:
        """Return the Go programs of its own layers, without those of its bases."""
        read = self._read[name]
        return tuple(dict.fromkeys(read.program(each) for each in read.recipe.programs))

    def reference(self, name: str) -> str:
        """Return the image's name in a pod, such as 'docker.io/local/mlflow:0f3a…', without a build.

        Raises PreflightError if Go is needed and missing.
        """
        return self._pushed(self.key(name)) if self._pushed else self._local(name)

    def _local(self, name: str) -> str:
        return f"{oci.REGISTRY}/{name}:{self._digest(name)[:12]}"

    def key(self, name: str) -> str:
        """Return the image's key in the cache, which `prune` keeps: 'mlflow-0f3a…'."""
        return f"{name}-{self._digest(name)[:12]}"

    def built(self, name: str) -> bool:
        image = self._image(name)
        return image is not None and self._store.holds(*image.blobs)

    def size(self, name: str) -> int:
        """Return the bytes of all its layers, those of bases included; 0 before it is built."""
        image = self._image(name)
        return image.size if image else 0

    def build(self, name: str, progress: Progress, cancel: Cancel) -> Path:
        """Build the missing layers, those of bases included; return an OCI archive of the image.

        Raises PreflightError (no root, mmdebstrap or Go), CommandFailed, Interrupted.
        """
        if not self.built(name):
            self._build(name, progress, cancel)
        target = self._store.archive(self.key(name))

        def make(work: Path) -> Path:
            image = self._image(name)
            assert image, "_build returned without its record"
            oci.write_archive(image, self._store, work / "archive")
            return work / "archive"

        build_once(self._cache, target, make, progress=progress, cancel=cancel)
        os.utime(target)
        return target

    @cached_property
    def _read(self) -> Mapping[str, Read]:
        return read_recipes(self._folders)

    def _recipe(self, name: str) -> Recipe:
        return self._read[name].recipe

    def _chain(self, name: str) -> list[Read]:
        """Return the recipes from the lowest base to the image's own."""
        return [self._read[each] for each in reversed((name, *self.bases(name)))]

    def _digest(self, name: str) -> str:
        """Return the digest of the recipe and all its inputs, those of bases included."""
        if name not in self._digests:
            base = self.base(name)
            inputs = [part.inputs for part in parts(self._chain(name), self._programs)]
            own = runtime_inputs(self._recipe(name))
            self._digests[name] = digest([self._digest(base) if base else "", inputs, own])
        return self._digests[name]

    def _image(self, name: str) -> Image | None:
        """Return the record of the built image; None before it is built."""
        return read_image(self._store.image_record(self.key(name)))

    def _build(self, name: str, progress: Progress, cancel: Cancel) -> None:
        chain = self._chain(name)
        layers: list[tuple[str, oci.Layer]] = []
        for depth in range(1, len(chain) + 1):
            for part in parts(chain[:depth], self._programs):
                layers.append((part.kind, self._layer(part, layers, progress, cancel)))
        record = self._store.image_record(self.key(name))

        def make(work: Path) -> Path:
            plain = [layer for _, layer in layers]
            config = self._store.put(oci.config(_runtime(chain), plain))
            manifest = self._store.put(oci.manifest(config, plain))
            blobs = tuple(layer.packed.blob for layer in plain)
            write(Image(self._local(name), manifest, config, blobs), work / "record")
            return work / "record"

        build_once(
            self._cache, record, make, whole=lambda: self.built(name), progress=progress, cancel=cancel
        )

    def _layer(
        self, part: Part, before: Sequence[tuple[str, oci.Layer]], progress: Progress, cancel: Cancel
    ) -> oci.Layer:
        """Return the part's layer from the store, made if missing."""
        under = [(kind, layer.packed.diff) for kind, layer in before if kind in part.stands_on]
        key = digest([FORMAT, part.kind, part.inputs, under])
        record = self._store.layer_record(part.kind, key)

        def whole() -> bool:
            packed = read_layer(record)
            return packed is not None and self._store.holds(packed.blob)

        def make(work: Path) -> Path:
            below = [Below(kind, self._store.path(layer.packed.blob)) for kind, layer in before]
            place = Workplace(work, below, self._cache, self._programs, progress, cancel)
            entries = part.make(place)
            progress.say(f"writing the {part.kind} layer")
            made = pack(entries, work / "layer", key, cancel)
            self._store.adopt(work / "layer", made.blob)
            write(made, work / "record")
            return work / "record"

        build_once(self._cache, record, make, whole=whole, progress=progress, cancel=cancel)
        found = read_layer(record)
        assert found, "build_once returned without its target"
        return oci.Layer(found, part.made_of)


def _runtime(chain: Sequence[Read]) -> oci.Runtime:
    """Merge settings like Dockerfiles: env adds up, else the last wins; an entrypoint drops cmd."""
    runtime = oci.Runtime()
    for recipe in (read.recipe for read in chain):
        entrypoint = tuple(recipe.entrypoint) or runtime.entrypoint
        inherited = () if recipe.entrypoint else runtime.cmd
        runtime = oci.Runtime(
            user=runtime.user if recipe.user is None else recipe.user,
            entrypoint=entrypoint,
            cmd=tuple(recipe.cmd) or inherited,
            env=tuple({**dict(runtime.env), **recipe.env}.items()),
            workdir=recipe.workdir or runtime.workdir,
            stopsignal=recipe.stopsignal or runtime.stopsignal,
        )
    return runtime
