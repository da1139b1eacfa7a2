"""Score a file in the data of a project with a model of the project: `mlops-platform model score`.

A CSV file is read in parts, so its size is limited by the disk of the pod and not by its memory. The result
is uploaded at the end: an attempt that fails leaves nothing.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import boto3
import mlflow.pyfunc
import numpy as np
import pandas as pd
from botocore.exceptions import ClientError

ROWS = 10_000
FOLDER = Path("/tmp")  # noqa: S108 - a volume of the pod
SAY_SECONDS = 1.0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class WrongInput(Exception):
    """An input that cannot be scored; the text is the reason."""


def require_reader(*keys: str) -> None:
    """Raise WrongInput for a format that this image cannot read, before anything is downloaded."""
    if any(key.endswith(".parquet") for key in keys) and not find_spec("pyarrow"):
        raise WrongInput(
            "Parquet needs pyarrow, which the image of the Job does not have: convert the file to CSV"
        )


def parts(path: Path) -> Iterator[pd.DataFrame]:
    """The rows of a file; of a Parquet file all at once."""
    try:
        if path.suffix == ".csv":
            yield from pd.read_csv(path, chunksize=ROWS)
        else:
            yield pd.read_parquet(path)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, ValueError) as error:
        raise WrongInput(f"the input is no {path.suffix[1:]} file with a header: {error}") from error


def columns(answer: Any, rows: int, taken: list[str]) -> pd.DataFrame:
    """The predictions as columns; a name that the input has gets the prefix `prediction_`."""
    if isinstance(answer, pd.DataFrame):
        found = answer.reset_index(drop=True)
        found.columns = [f"prediction_{name}" if name in taken else str(name) for name in found.columns]
    else:
        values = np.asarray(answer)
        if values.ndim == 2:
            found = pd.DataFrame(values, columns=[f"prediction_{i}" for i in range(values.shape[1])])
        else:
            found = pd.DataFrame({"prediction": list(values) if values.ndim else [values.item()]})
    if len(found) != rows:
        raise WrongInput(f"the model gave {len(found)} predictions for {rows} rows")
    return found


def scored(model: Any, part: pd.DataFrame) -> pd.DataFrame:
    part = part.reset_index(drop=True)
    try:
        answer = model.predict(part)
    except Exception as error:  # code of a user: any error is about this input
        raise WrongInput(f"the model rejects the input: {type(error).__name__}: {error}") from error
    return pd.concat([part, columns(answer, len(part), list(part.columns))], axis=1)


def score(model: Any, source: Path, target: Path) -> int:
    """Write the input with its predictions; return the number of rows."""
    rows, said, frames = 0, 0.0, []
    for part in parts(source):
        found = scored(model, part)
        if target.suffix == ".csv":
            found.to_csv(target, mode="a" if rows else "w", header=not rows, index=False)
        else:
            frames.append(found)
        rows += len(found)
        if time.monotonic() - said > SAY_SECONDS:
            said = time.monotonic()
            say(f"{rows} rows scored")
    if not rows:
        raise WrongInput("the input has no rows")
    if frames:
        pd.concat(frames).to_parquet(target)
    return rows


def main(model: str, input_key: str, output_key: str) -> None:
    require_reader(input_key, output_key)
    bucket, _, prefix = f"{os.environ['DATA_URI']}/".removeprefix("s3://").partition("/")
    s3 = boto3.client("s3")
    source, target = (
        FOLDER / f"{name}{Path(key).suffix}" for name, key in (("in", input_key), ("out", output_key))
    )
    say(f"reading {input_key}")
    try:
        s3.download_file(bucket, prefix + input_key, str(source))
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchKey"):
            raise
        raise WrongInput(f"the data of the project has no file {input_key}") from error
    say(f"loading {model}")
    loaded = mlflow.pyfunc.load_model(model)
    rows = score(loaded, source, target)
    say(f"writing {output_key}")
    s3.upload_file(str(target), bucket, prefix + output_key)
    say(f"{rows} rows in s3://{bucket}/{prefix}{output_key}")


if __name__ == "__main__":
    try:
        main(os.environ["MODEL"], os.environ["INPUT"], os.environ["OUTPUT"])
    except WrongInput as error:
        sys.exit(str(error))
    except ImportError as error:
        sys.exit(f"the image of the Job lacks a package: {error}")
