"""From data to a served model: check, train, compare, register, serve, ask.

The inputs (data, parameters, training script) have a digest. A task that runs again uses what exists for it:
there is one run, one version of the model, and one served model for the same inputs.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

HERE = Path(__file__).parent
MODEL = "flowers"  # the registered model, and the name under which it is served
DATA = "example/flowers.csv"  # in the project's data; the file beside this one is put there if it is missing
PARAMETERS = {"C": 1.0, "max_iter": 500}
COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width", "species"]
FEWEST_ROWS, METRIC = 50, "accuracy"


@task
def check_data() -> str:
    """Check the table, and return the digest of the inputs."""
    from project import digest, read_data

    text = read_data(DATA, HERE / "flowers.csv")
    head, *rows = [line.split(",") for line in text.splitlines() if line.strip()]
    wrong = [number for number, row in enumerate(rows, 2) if len(row) != len(COLUMNS) or "" in row]
    if head != COLUMNS or wrong or len(rows) < FEWEST_ROWS:
        raise AirflowFailException(f"{DATA}: columns {head}, {len(rows)} rows, wrong lines: {wrong[:10]}")
    return digest(text, PARAMETERS, (HERE / "train.py").read_text())


@task
def train(inputs: str) -> str:
    """Run train.py as a TrainJob, and return the id of its run in MLflow."""
    from project import run_of, train

    if run := run_of(inputs):
        return run
    train(f"{MODEL}-{inputs[:10]}", (HERE / "train.py").read_text(), DATA, inputs, PARAMETERS)
    if run := run_of(inputs):
        return run
    raise RuntimeError("the TrainJob is complete, and MLflow has no run of it")


@task
def compare(run: str, inputs: str) -> str:
    """Skip the rest if the version in production is better."""
    from project import metric, production

    current = production(MODEL)
    if current and current["inputs"] != inputs:
        new, old = metric(run, METRIC), metric(current["run"], METRIC)
        if new < old:
            raise AirflowSkipException(f"{METRIC} {new} is less than {old} of version {current['version']}")
    return run


@task
def register(run: str, inputs: str) -> str:
    """Return the version of the model for these inputs."""
    from project import register

    return register(MODEL, run, inputs)


@task
def serve(version: str) -> str:
    """Serve the version, and wait until all pods have it."""
    from project import serve

    serve(MODEL, version)
    return version


@task
def ask(version: str, run: str) -> None:
    """Compare predictions of the served model with those after the training, then put it into production."""
    from project import predict, production, put_into_production, questions, serve

    asked = questions(run)
    answers = predict(MODEL, asked["rows"])
    if answers != asked["predictions"]:
        if current := production(MODEL):
            serve(MODEL, current["version"])
        raise AirflowFailException(f"version {version} answers {answers}, not {asked['predictions']}")
    put_into_production(MODEL, version)


@dag(
    schedule=None,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=5)},
)
def golden_path() -> None:
    inputs = check_data()
    run = compare(train(inputs), inputs)
    version = serve(register(run, inputs))
    ask(version, run)


golden_path()
