"""OCI formats: configuration, manifest and the archive that containerd imports."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from mlops_platform.adapters.images.store import Blob, Image, Packed, Store
from mlops_platform.adapters.programs import ARCHITECTURE

REGISTRY = "docker.io/local"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TYPES = "application/vnd.oci.image"
_EPOCH = "1970-01-01T00:00:00Z"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Runtime:
    """Start settings of a container; a recipe inherits those that it leaves out."""

    user: int | None = None
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    workdir: str | None = None
    stopsignal: str = ""


@dataclass(frozen=True)
class Layer:
    """Layer of an image; `made_of` names its part of the recipe."""

    packed: Packed
    made_of: str


def config(runtime: Runtime, layers: Sequence[Layer]) -> bytes:
    """Return the image configuration. The user is a number: the kubelet's runAsNonRoot check needs one."""
    env = dict(runtime.env)
    settings: dict[str, Any] = {
        "Env": [*([] if "PATH" in env else [_PATH]), *(f"{k}={v}" for k, v in env.items())]
    }
    if runtime.user is not None:
        settings["User"] = f"{runtime.user}:{runtime.user}"
    if runtime.entrypoint:
        settings["Entrypoint"] = list(runtime.entrypoint)
    if runtime.cmd:
        settings["Cmd"] = list(runtime.cmd)
    if runtime.workdir:
        settings["WorkingDir"] = runtime.workdir
    if runtime.stopsignal:
        settings["StopSignal"] = runtime.stopsignal
    return _json(
        {
            "architecture": ARCHITECTURE,
            "os": "linux",
            "created": _EPOCH,
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.packed.diff}" for layer in layers]},
            "history": [{"created": _EPOCH, "created_by": layer.made_of} for layer in layers],
        }
    )


def manifest(configuration: Blob, layers: Sequence[Layer]) -> bytes:
    return _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_TYPES}.manifest.v1+json",
            "config": _descriptor(configuration, "config.v1+json"),
            "layers": [_descriptor(layer.packed.blob, "layer.v1.tar+zstd") for layer in layers],
        }
    )


def index(image: Image) -> bytes:
    """Return index.json of an archive. containerd reads the first annotation, other programs the second."""
    described = {
        **_descriptor(image.manifest, "manifest.v1+json"),
        "platform": {"architecture": ARCHITECTURE, "os": "linux"},
        "annotations": {
            "io.containerd.image.name": image.reference,
            "org.opencontainers.image.ref.name": image.reference.rpartition(":")[2],
        },
    }
    return _json({"schemaVersion": 2, "mediaType": f"{_TYPES}.index.v1+json", "manifests": [described]})


def write_archive(image: Image, store: Store, target: Path) -> None:
    """Write an OCI image layout as a tar: https://github.com/opencontainers/image-spec/blob/main/image-layout.md"""
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT, copybufsize=_BLOCK) as tar:  # type: ignore[call-overload]
        _member(tar, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _member(tar, "index.json", index(image))
        for blob in dict.fromkeys(image.blobs):
            info = tarfile.TarInfo(f"blobs/sha256/{blob.digest}")
            info.size, info.mode = blob.size, 0o644
            with store.path(blob).open("rb") as opened:
                tar.addfile(info, opened)


def _member(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o644
    tar.addfile(info, BytesIO(content))


def _descriptor(blob: Blob, kind: str) -> Mapping[str, Any]:
    return {"mediaType": f"{_TYPES}.{kind}", "digest": f"sha256:{blob.digest}", "size": blob.size}


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
