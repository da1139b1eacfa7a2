"""Debian part of an image: a root file system of signed packages, without man pages and locales."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops_platform.adapters.buildonce import remove_tree, tethered
from mlops_platform.adapters.process import run
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import PreflightError
from mlops_platform.base.progress import Progress

SUITE = "bookworm"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_SUITES = (SUITE, f"{SUITE}-updates", f"{SUITE}-security")
_MERGED_USR = "/usr/share/mmdebstrap/hooks/merged-usr"
_SECONDS = 1200.0

# These are never unpacked. Copyright files stay: the licenses require it.
_EXCLUDED = ("/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*")
_DOCS = ("path-exclude=/usr/share/doc/*", "path-include=/usr/share/doc/*/copyright")

# Facts of the building machine, private keys that a package made on it, and files that programs write again.
_REMOVED = (
    "/dev/*",
    "/etc/apt/sources.list*",
    "/etc/hostname",
    "/etc/machine-id",
    "/etc/resolv.conf",
    "/etc/ssl/private/*",
    "/run/*",
    "/tmp/*",  # noqa: S108
    "/var/cache/*",
    "/var/lib/apt/*",
    "/var/lib/dpkg/*-old",
    "/var/log/*",
    "/var/tmp/*",  # noqa: S108
)


@dataclass(frozen=True)
class Packages:
    """Packages of a root file system, with those of its bases. `preset`: path in the image and file."""

    names: tuple[str, ...]
    preset: tuple[tuple[str, Path], ...] = ()
    remove: tuple[str, ...] = ()


def require_tools() -> None:
    """Raise PreflightError if this machine cannot make a root file system."""
    if os.geteuid() != 0:
        raise PreflightError("Debian images can only be built by root", hint="run the command as root")
    if not shutil.which("mmdebstrap"):
        raise PreflightError(
            "mmdebstrap: no such program", hint="apt-get install mmdebstrap debian-archive-keyring"
        )


def install(wanted: Packages, root: Path, progress: Progress, cancel: Cancel) -> None:
    """Make a root file system in the new folder `root`. Raises PreflightError, CommandFailed."""
    require_tools()
    mirrors = sources_list(Path("/etc/apt"))
    sources = root.with_name("sources.list")
    sources.write_text(mirrors)
    options = [f"--dpkgopt=path-exclude={pattern}" for pattern in _EXCLUDED]
    options += [f"--dpkgopt={rule}" for rule in _DOCS]
    # No fsync: an unfinished root is thrown away. The hook makes the links such as /bin: without it apt
    # installs the package usrmerge, which needs all of Perl (50 MB).
    options += ["--dpkgopt=force-unsafe-io", f"--hook-dir={_MERGED_USR}"]
    for path, file in wanted.preset:
        folder = shlex.quote(str(Path(path).parent))
        options.append(f'--essential-hook=mkdir -p "$1"{folder}')
        options.append(f"--essential-hook=copy-in {shlex.quote(str(file))} {folder}")
        if file.name != Path(path).name:
            options.append(
                f'--essential-hook=mv "$1"{folder}/{shlex.quote(file.name)} "$1"{shlex.quote(path)}'
            )
    argv = ["mmdebstrap", "--mode=root", "--format=directory", "--variant=essential", *options]
    argv += [f"--include={','.join(wanted.names)}", SUITE, str(root)]
    argv += [str(sources)] if mirrors else []

    def line(text: str) -> None:
        if text.startswith("I: "):
            progress.say(f"debian: {text[3:].rstrip('.')}")

    run(
        tethered(argv, whole_tree=True),
        env={"SOURCE_DATE_EPOCH": "0", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
        seconds=_SECONDS,
        cancel=cancel,
        on_line=line,
        what=f"debian packages {' '.join(wanted.names)}",
        hint=f"check that the mirrors of /etc/apt can be reached and that {SUITE} has the packages",
    )
    for pattern in clean(root, wanted.remove):
        progress.note(f"remove {pattern}: no file matches it")


def clean(root: Path, patterns: Sequence[str]) -> list[str]:
    """Remove what no image needs and what matches the globs; return the globs that should have matched.

    Debian packages have no file in /usr/local: a glob there is for the pip layer, which reports its own.
    """
    unmatched = remove(root, (*_REMOVED, *patterns))
    return [each for each in unmatched if each in patterns and not each.startswith("/usr/local/")]


def remove(root: Path, patterns: Sequence[str]) -> list[str]:
    """Remove all that matches the globs below `root`; return the globs without a match."""
    unmatched: list[str] = []
    inside = root.resolve()
    for pattern in patterns:
        found = False
        for path in sorted(root.glob(pattern.lstrip("/")), reverse=True):
            # Do not follow a link of the image, such as usr/lib/ssl/certs -> /etc/ssl/certs, out of it.
            if not path.parent.resolve().is_relative_to(inside):
                continue
            remove_tree(path)
            found = True
        if not found:
            unmatched.append(pattern)
    return unmatched


def sources_list(etc_apt: Path) -> str:
    """Return this machine's mirrors of Debian 12; '' if it has none: mmdebstrap then uses its default.

    Takes mirror, suite and keyring only: an option such as trusted=yes would switch signatures off.
    """
    found: dict[str, None] = {}
    for uri, suite, keyring in [*_one_line(etc_apt), *_stanzas(etc_apt)]:
        if suite in _SUITES and not uri.startswith("cdrom:"):
            found.setdefault(f"deb [signed-by={keyring}] {uri} {suite} main\n")
    return "".join(found) if any(f" {SUITE} main" in line for line in found) else ""


def _one_line(etc_apt: Path) -> Iterable[tuple[str, str, str]]:
    """Yield URI, suite and keyring of lines `deb [option=value …] URI suite component …`."""
    for file in [etc_apt / "sources.list", *sorted((etc_apt / "sources.list.d").glob("*.list"))]:
        if not file.is_file():
            continue
        for line in file.read_text().splitlines():
            match = re.match(r"deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.*)", line)
            if match and "main" in match[4].split():
                signed = re.search(r"signed-by=(/\S+)", match[1] or "")
                yield match[2], match[3], signed[1] if signed else _KEYRING


def _stanzas(etc_apt: Path) -> Iterable[tuple[str, str, str]]:
    """Yield URI, suite and keyring of the deb822 form: paragraphs of `Key: value`."""
    for file in sorted((etc_apt / "sources.list.d").glob("*.sources")):
        text = re.sub(r"^#.*\n", "", file.read_text(), flags=re.MULTILINE)
        for paragraph in re.split(r"\n\s*\n", text):
            fields: Mapping[str, list[str]] = {
                key.lower(): value.split()
                for key, value in re.findall(
                    r"^([\w-]+):[ \t]*((?:.*)(?:\n[ \t]+.*)*)", paragraph, re.MULTILINE
                )
            }
            if fields.get("enabled") == ["no"] or "deb" not in fields.get("types", []):
                continue
            if "main" not in fields.get("components", []):
                continue
            signed = fields.get("signed-by", [])
            keyring = signed[0] if len(signed) == 1 and signed[0].startswith("/") else _KEYRING
            for uri in fields.get("uris", []):
                for suite in fields.get("suites", []):
                    yield uri, suite, keyring
