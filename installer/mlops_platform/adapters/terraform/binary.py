"""Finds the Terraform or OpenTofu binary, its version, and whether the file has changed."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mlops_platform.adapters.process import run
from mlops_platform.base.errors import CommandFailed, PreflightError

VARIABLE = "MLOPS_PLATFORM_TERRAFORM"
OLDEST = (1, 6)
# A guard against a program that hangs: on a loaded machine the start of a binary of 100 MB is slow.
_SECONDS = 300.0
_INSTALL = (
    "install Terraform (https://developer.hashicorp.com/terraform/install) or OpenTofu "
    f"(https://opentofu.org/docs/intro/install), 1.6 or newer, or set {VARIABLE} to its path"
)
_PRODUCTS = {"Terraform": "terraform", "OpenTofu": "opentofu"}


@dataclass(frozen=True)
class Binary:
    """A Terraform binary. `product` is 'terraform' or 'opentofu', `version` is '1.11.4'."""

    path: Path
    product: str
    version: str


def locate() -> Path:
    """Path of the binary, without starting it. Raises PreflightError if there is none."""
    chosen = os.environ.get(VARIABLE)
    for name in (chosen,) if chosen else ("terraform", "tofu"):
        if found := shutil.which(name):
            return Path(found).absolute()
    missing = f"{VARIABLE}={chosen}" if chosen else "terraform"
    raise PreflightError(f"{missing}: no such program", hint=_INSTALL)


def identity(path: Path) -> str:
    """A text that changes with the file: cheaper than `terraform version` on every run."""
    status = path.stat()
    return f"{path} {status.st_size} {status.st_mtime_ns}"


def find_binary() -> Binary:
    """Find the binary and run it for its version, once per process and file.

    Raises PreflightError if there is none, if it is too old, or if it is another program.
    """
    path = locate()
    try:
        return _version(path, identity(path))
    except OSError as error:
        raise PreflightError(f"{path}: does not run", why=str(error), hint=_INSTALL) from error


@lru_cache
def _version(path: Path, _identity: str) -> Binary:
    try:
        # Without this variable `version` asks HashiCorp's server for newer releases.
        said = run([str(path), "version"], env={"CHECKPOINT_DISABLE": "1"}, seconds=_SECONDS).stdout
    except CommandFailed as error:
        why = "\n".join(filter(None, (error.what, error.why)))
        raise PreflightError(f"{path}: does not run", why=why, hint=_INSTALL) from error
    product, version = _parse(said)
    if not version:
        raise PreflightError(f"{path}: neither Terraform nor OpenTofu", why=said.strip()[:200], hint=_INSTALL)
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        raise PreflightError(
            f"{product} {version} is too old: 1.6 or newer is needed",
            why=f"{path} is {product} {version}",
            hint=_INSTALL,
            command=f"{path} version",
        )
    return Binary(path, product, version)


def _parse(said: str) -> tuple[str, str]:
    """Product and version from the plain text: `version -json` of OpenTofu calls itself terraform."""
    # OpenTofu 1.12 writes warnings about its configuration to stdout, before the version.
    if plain := re.search(r"^(Terraform|OpenTofu) v(\d+\.\d+\S*)", said, re.MULTILINE):
        return _PRODUCTS[plain[1]], plain[2]
    try:
        version = json.loads(said)["terraform_version"]
    except (ValueError, KeyError, TypeError):
        return "", ""
    return "terraform", version if re.match(r"\d+\.\d+", str(version)) else ""
