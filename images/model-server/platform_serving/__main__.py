"""Serve the model in a folder: `python3 -P -m platform_serving --name NAME [--folder DIR] [--port 8080]`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from platform_serving import requirements
from platform_serving.failures import Failure, end


def main() -> None:
    parser = argparse.ArgumentParser(prog="platform_serving")
    parser.add_argument("--name", required=True)
    parser.add_argument("--folder", type=Path, default=Path("/mnt/models"))
    parser.add_argument("--port", type=int, default=8080)
    given, _ = parser.parse_known_args()
    largest = os.environ.get("MAX_BODY_MIB", "8")
    if not largest.isdecimal() or not 0 < int(largest) <= 1024:
        end(f"MAX_BODY_MIB={largest}: not a number from 1 to 1024")
    _serve(given.name, given.folder, given.port, int(largest) << 20)


def _serve(name: str, folder: Path, port: int, largest: int) -> None:
    """Load and serve. A model that cannot work here ends the program before anything is imported for it."""
    if not (folder / "MLmodel").is_file():
        end(f"no MLmodel in {folder}: the files are not a model of MLflow")
    compared = requirements.compare(folder / "requirements.txt")
    if compared.missing:
        end("; ".join(compared.missing))
    for each in compared.other:
        print(f"note: {each}", file=sys.stderr)  # noqa: T201 - the container's log
    from platform_serving import outputs  # these imports take seconds
    from platform_serving.app import App
    from platform_serving.model import Model
    from platform_serving.server import LONGEST_SECONDS, SHORTEST_SECONDS, DrainingServer

    try:
        model = Model(folder)
    except Failure as error:
        end("; ".join([str(error), *compared.other]))
    app = App(name, model, outputs, largest=largest)
    print(f"{name}: version {model.version or '-'} of {model.registered or folder} is served", flush=True)  # noqa: T201
    DrainingServer(app, port=port, shortest=SHORTEST_SECONDS, longest=LONGEST_SECONDS).run()


if __name__ == "__main__":
    main()
