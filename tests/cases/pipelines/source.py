# mypy: ignore-errors
# ruff: noqa: B006, PTH103, PTH118, PTH123
"""The pipelines of the tests: `python source.py`, with the KFP of images/pipeline, compiles them."""

from typing import NamedTuple

from kfp import compiler, dsl
from kfp.dsl import HTML, Artifact, Dataset, Input, Metrics, Model, Output, PipelineTaskFinalStatus


@dsl.component
def prepare(rows: int, table: Output[Dataset]):
    with open(table.path, "w") as file:
        file.writelines(f"{i},{2 * i}\n" for i in range(rows))
    table.metadata["rows"] = rows


@dsl.component(packages_to_install=["pandas"])
def train(rate: float, table: Input[Dataset], model: Output[Model], metrics: Output[Metrics]) -> float:
    import pandas

    score = 1 - abs(rate - 0.3)
    metrics.log_metric("score", score)
    metrics.log_metric("rows @ 1", len(pandas.read_csv(table.path, header=None)))
    with open(model.path, "w") as file:
        file.write(str(rate))
    return score


@dsl.component(install_kfp_package=False)
def best(scores: list) -> float:
    return float(max(scores))


@dsl.component(install_kfp_package=False)
def publish(score: float, page: Output[HTML]) -> NamedTuple("Published", name=str, score=float):
    import mlflow

    with mlflow.start_run():
        mlflow.log_metric("published", score)
    with open(page.path, "w") as file:
        file.write(f"<b>{score}</b>")
    return NamedTuple("Published", name=str, score=float)("iris", score)


@dsl.component(install_kfp_package=False)
def reject(score: float):
    print("rejected", score)


@dsl.pipeline(name="churn-training")
def training(
    rows: int = 10,
    limit: float = 0.5,
    rates: list = [0.1, 0.3],
    options: dict = {"depth": 3},
    dry: bool = False,
    owner: str = "ann",
):
    """Artifacts, a loop over an input, a collected output, and a condition."""
    table = prepare(rows=rows).outputs["table"]
    with dsl.ParallelFor(rates) as rate:
        trained = train(rate=rate, table=table)
    top = best(scores=dsl.Collected(trained.outputs["Output"]))
    with dsl.If(top.output > limit):
        publish(score=top.output)
    with dsl.Else():
        reject(score=top.output)


@dsl.component(install_kfp_package=False)
def note(text: str, folder: Output[Artifact]) -> str:
    import os

    os.makedirs(folder.path)
    with open(os.path.join(folder.path, "note.txt"), "w") as file:
        file.write(text)
    return text


@dsl.pipeline
def inner(text: str):
    note(text=text)


@dsl.pipeline(name="nested")
def nested():
    """One pipeline inside another, twice, and in a loop with a condition."""
    inner(text="one")
    inner(text="two")
    with dsl.ParallelFor([1, 2]) as number, dsl.If(number == 2):
        inner(text="three")


@dsl.component(install_kfp_package=False)
def flaky(file: str) -> str:
    from pathlib import Path

    if not Path(file).exists():
        Path(file).touch()
        raise ConnectionError("the server is away")
    return "done"


@dsl.component(install_kfp_package=False)
def fail(rows: int):
    print("reading")
    raise ValueError(f"{rows} rows:\ntoo few")


@dsl.component(install_kfp_package=False)
def after(text: str = "none"):
    print("after", text)


@dsl.component(install_kfp_package=False)
def clean(status: PipelineTaskFinalStatus):
    print("cleaned after", status.state)


@dsl.pipeline(name="failing")
def failing(file: str, rows: int = 3):
    """A step that is tried again, one that fails, one that depends on it, and one that runs at the end."""
    with dsl.ExitHandler(clean()):
        flaky(file=file).set_retry(1)
        after(text="next").after(fail(rows=rows))


@dsl.pipeline(name="quoted")
def quoted(word: str = "it's"):
    """A condition that the local runner cannot evaluate."""
    with dsl.If(word == "a"):
        after(text="a")


@dsl.component(
    base_image="ghcr.io/acme/train:1", packages_to_install=["pandas==2.0.0", "torch", "scikit_learn"]
)
def foreign():
    pass


@dsl.component(target_image="ghcr.io/acme/own:1", base_image="python:3.11")
def contained():
    pass


@dsl.container_component
def shell(name: str):
    return dsl.ContainerSpec(image="alpine:3.20", command=["echo"], args=[name])


@dsl.component(packages_to_install=["pandas"], pip_index_urls=["https://packages.acme.example/simple"])
def indexed():
    pass


@dsl.component(kfp_package_path="git+https://git.acme.example/kfp@main")
def newest():
    pass


@dsl.pipeline(name="unsupported")
def unsupported(n: int, rate: float, flag: bool, items: list, options: dict, name: str):
    """Everything that is refused."""
    shell(name=name)
    foreign()
    contained()
    indexed()
    newest()
    dsl.importer(artifact_uri="gs://acme/table.csv", artifact_class=Dataset)
    first = after(text="a").set_cpu_limit("1").set_memory_limit("1G")
    first.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1)
    after(text="b").after(first).ignore_upstream_failure()


@dsl.pipeline(name="of-artifact")
def of_artifact(table: Input[Dataset]):
    train(rate=0.1, table=table)


@dsl.component
def rows(count: int, table: Output[Dataset]):
    if not count:
        raise ValueError("no rows")
    with open(table.path, "w") as file:
        file.writelines(f"{i},{2 * i}\n" for i in range(count))


@dsl.component(install_kfp_package=False)
def score(rate: float, table: Input[Dataset], model: Output[Model], metrics: Output[Metrics]) -> float:
    with open(table.path) as lines, open(model.path, "w") as file:
        file.write(f"{rate} {len(list(lines))}")
    found = round(1 - abs(rate - 0.3), 3)
    metrics.log_metric("score", found)
    return found


@dsl.component(install_kfp_package=False)
def announce(score: float):
    import mlflow

    mlflow.log_metric("published", score)


@dsl.pipeline(name="smoke-pipeline")
def smoke(rows_of_table: int = 10, limit: float = 0.5):
    """The smoke test of pipelines, with nothing besides KFP and MLflow."""
    table = rows(count=rows_of_table).outputs["table"]
    with dsl.ParallelFor([0.1, 0.3]) as rate:
        scored = score(rate=rate, table=table)
    top = best(scores=dsl.Collected(scored.outputs["Output"]))
    with dsl.If(top.output > limit):
        announce(score=top.output)
    with dsl.Else():
        reject(score=top.output)


if __name__ == "__main__":
    for each in (training, nested, failing, quoted, unsupported, of_artifact, fail):
        compiler.Compiler().compile(each, f"{each.name}.yaml")
    compiler.Compiler().compile(smoke, "../../../helm-values/mlflow/smoke_pipeline.yaml")
