"""Arguments of the commands `model`: every mistake in one pass."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mlops_platform.base.errors import UsageError
from mlops_platform.base.quantities import cpu, memory

# KServe adds `-predictor`, and a canary's name, to make names of Services: at most 63 characters.
LONGEST_NAME = 40
_NAME = rf"[a-z]([-a-z0-9]{{0,{LONGEST_NAME - 2}}}[a-z0-9])?"
_MOST_REPLICAS = 100


@dataclass(frozen=True)
class Reference:
    """A model as people name it: `MODEL`, `MODEL/VERSION` or `MODEL@ALIAS`."""

    model: str
    version: str = ""
    alias: str = ""

    def __str__(self) -> str:
        end = f"/{self.version}" if self.version else f"@{self.alias}" if self.alias else ""
        return f"{self.model}{end}"


@dataclass(frozen=True)
class Sizes:
    """What the pods of a model get; '' and 0: as it is, or the default."""

    least: int = 0
    most: int = 0
    cpu: str = ""
    memory: str = ""


@dataclass(frozen=True)
class Wanted:
    """A model to serve: `named` if the name was given, and is not the model's."""

    reference: Reference
    name: str
    named: bool
    sizes: Sizes


def parse(reference: str, name: str, replicas: str, cpu: str, memory: str) -> Wanted:
    """Read the arguments of `model serve`. Raises UsageError with every mistake."""
    problems: list[str] = []
    found = _reference(reference, problems.append)
    chosen = name or label_of(found.model if found else "")
    if name and not re.fullmatch(_NAME, name):
        problems.append(
            f"--name {name}: not a name (lower-case letters, digits and dashes, at most {LONGEST_NAME}, "
            "a letter first)"
        )
    elif found and not chosen:
        problems.append(f"{found.model}: no name can be made of it (give --name)")
    least, most = _replicas(replicas, problems.append)
    problems += _quantities(cpu, memory)
    if problems or not found:
        raise UsageError(
            f"model serve: {'a mistake' if len(problems) == 1 else f'{len(problems)} mistakes'}; "
            "nothing was changed",
            why="\n".join(problems),
            command="mlops-platform model serve iris/2 --project churn --replicas 1-3 --memory 1Gi",
        )
    return Wanted(found, chosen, bool(name), Sizes(least, most, cpu, memory))


def reference_of(text: str) -> Reference:
    """Read `MODEL[/VERSION|@ALIAS]`. Raises UsageError."""
    problems: list[str] = []
    found = _reference(text, problems.append)
    if found is None:
        raise UsageError(problems[0], hint="write MODEL, MODEL/VERSION or MODEL@ALIAS, such as iris/2")
    return found


def check_memory(text: str) -> None:
    """Raises UsageError if --memory is no amount."""
    if problems := list(_quantities("", text)):
        raise UsageError(problems[0])


def label_of(model: str) -> str:
    """The name of a model's service: a DNS label, '' if none can be made."""
    label = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")[:LONGEST_NAME].rstrip("-")
    return label if re.fullmatch(_NAME, label) else ""


def _reference(text: str, say: Callable[[str], None]) -> Reference | None:
    model, slash, version = text.partition("/")
    alias = ""
    if not slash:
        model, at, alias = text.rpartition("@")
        if not at:
            model, alias = text, ""
        elif not alias:
            say(f"{text}: no alias after @ (such as {model}@champion)")
            return None
    if not model.strip() or len(model) > 250 or ":" in model or not model.isprintable():
        say(f"{text!r}: not a model (write MODEL, MODEL/VERSION or MODEL@ALIAS)")
        return None
    if slash and not re.fullmatch(r"[1-9][0-9]{0,8}", version):
        say(f"{text}: {version or 'nothing'} is no version (versions are numbers, such as {model}/2)")
        return None
    return Reference(model, version, alias)


def _replicas(text: str, say: Callable[[str], None]) -> tuple[int, int]:
    if not text:
        return 0, 0
    found = re.fullmatch(r"([0-9]{1,4})(?:-([0-9]{1,4}))?", text)
    least = int(found[1]) if found else 0
    most = int(found[2] or least) if found else 0
    if not 1 <= least <= most <= _MOST_REPLICAS:
        say(f"--replicas {text}: not a number of pods (such as 2, or 1-4; at most {_MOST_REPLICAS})")
    return least, most


def _quantities(given_cpu: str, given_memory: str) -> Iterator[str]:
    for option, check, text in (("--cpu", cpu, given_cpu), ("--memory", memory, given_memory)):
        if not text:
            continue
        try:
            check(text)
        except ValueError as error:
            what, _, hint = str(error).partition(" | ")
            yield f"{option} {text}: {what} ({hint})"
            continue
        if not re.search(r"[1-9]", text):
            yield f"{option} {text}: more than 0"
