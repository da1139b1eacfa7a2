"""Sizes of notebooks: from the environment, limited to a share of the project's quota."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

GPU = "nvidia.com/gpu"
_PREFIX = "SIZE_"
_SIZE = re.compile(
    r"cpu=(?P<request>[\d.]+m?)-(?P<cpu>[\d.]+m?) memory=(?P<memory>[\d.]+[MG]i)(?: gpu=(?P<gpu>\d+))?"
)
_UNITS = {
    "": 1,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}


@dataclass(frozen=True)
class Size:
    """A size: CPU that is reserved, limits of CPU and memory, GPUs."""

    name: str
    request: str
    cpu: str
    memory: str
    gpu: int = 0

    def __str__(self) -> str:
        gpus = f", {self.gpu} GPU" if self.gpu else ""
        return f"{self.name}: {self.cpu} CPU, {self.memory}{gpus}"

    @property
    def requests(self) -> dict[str, str]:
        return {"cpu": self.request, "memory": self.memory, **self._gpus}

    @property
    def limits(self) -> dict[str, str]:
        return {"cpu": self.cpu, "memory": self.memory, **self._gpus}

    @property
    def _gpus(self) -> dict[str, str]:
        return {GPU: str(self.gpu)} if self.gpu else {}

    def problem(self, hard: Mapping[str, str], percent: int) -> str:
        """Return why a notebook of one person cannot have this size in a project with this quota, or ''.

        GPUs are whole: of these, a person may have all.
        """
        for key, asked, share in (
            ("requests.cpu", self.request, percent),
            ("limits.memory", self.memory, percent),
            (f"requests.{GPU}", str(self.gpu), 100),
        ):
            most = amount(hard.get(key, "0"))
            if amount(asked) > most * share / 100:
                part = "" if share == 100 else f"{share} % of "
                return f"{key} {asked} is more than {part}the project's quota of {hard.get(key, '0')}"
        return ""


def sizes_of(environment: Mapping[str, str]) -> dict[str, Size]:
    """The sizes of the variables SIZE_…, in their order. Raises ValueError with every wrong one."""
    found, wrong = {}, []
    for key, text in environment.items():
        if not key.startswith(_PREFIX):
            continue
        name = key.removeprefix(_PREFIX).lower().replace("_", "-")
        match = _SIZE.fullmatch(text.strip())
        if match:
            given: dict[str, Any] = match.groupdict()
            found[name] = Size(name, given["request"], given["cpu"], given["memory"], int(given["gpu"] or 0))
        else:
            wrong.append(f"{key}: {text!r} is not like 'cpu=100m-1 memory=1Gi gpu=0'")
    if not found:
        wrong.append("no size: give SIZE_SMALL")
    if wrong:
        raise ValueError("; ".join(wrong))
    return dict(sorted(found.items(), key=lambda each: (each[1].gpu, amount(each[1].memory))))


def number(environment: Mapping[str, str], key: str, least: int, most: int) -> int:
    """A whole number of the environment. Raises ValueError if it is not between `least` and `most`."""
    text = environment[key]
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise ValueError(f"{key}: {text!r} is not a number from {least} to {most}")
    return int(text)


def amount(quantity: str) -> float:
    """The value of a quantity of Kubernetes."""
    match = re.fullmatch(r"([\d.]+)([a-zA-Z]{0,2})", quantity)
    if not match or match[2] not in _UNITS:
        raise ValueError(f"{quantity!r} is no quantity")
    return float(match[1]) * _UNITS[match[2]]
