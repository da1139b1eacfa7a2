"""Programs in pods of a project: `run` executes a task of its DAGs, `parse` reads a version of its DAGs.

Both are in the namespace of the project, without access to Airflow's database, keys and connections.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import traceback
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

HOME = Path(os.environ["HOME"])
CODE, DAGS = Path(os.environ.get("CODE", "/code/dags.json")), HOME / "dags"
WORKLOAD = Path("/run/secrets/workload/workload.json")
RESULT = "PARSED "  # before the result of `parse`: the files may print lines too
MOST_LINES = 12


def unpack() -> None:
    """Write the version's files. Paths were checked by `dag push`; the pod is the project's anyway."""
    for path, text in json.loads(CODE.read_text()).items():
        file = DAGS / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def configure() -> None:
    """The configuration of Airflow, before its first import. No database answers at this address."""
    bundle = {
        "name": f"project.{os.environ['PROJECT']}",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(DAGS)},
    }
    os.environ |= {
        "AIRFLOW_HOME": str(HOME / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "platform_worker.log_server",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql+psycopg2://none@127.0.0.1:1/none",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(HOME / "logs"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    settings = ModuleType("airflow_local_settings")  # the module with Airflow's policies
    vars(settings).update(__file__=__file__, __all__=["dag_policy"], dag_policy=dag_policy)
    sys.modules[settings.__name__] = settings


def dag_policy(dag: Any) -> None:
    """Put the project's name before the id of a DAG."""
    dag.dag_id = f"{os.environ['PROJECT']}.{dag.dag_id}"


def log_server() -> str:
    """The host that serves the log of the running task: the scheduler copies it from the pod."""
    return os.environ.get("LOG_SERVER", "")


def run() -> int:
    from airflow.executors.workloads import ExecuteTask
    from airflow.sdk.execution_time.supervisor import supervise_task
    from airflow.sdk.log import configure_logging

    configure_logging(output=sys.stdout.buffer, json_output=True)
    workload = ExecuteTask.model_validate_json(WORKLOAD.read_text())
    code: int = supervise_task(
        ti=workload.ti,
        bundle_info=workload.bundle_info,
        dag_rel_path=workload.dag_rel_path,
        token=workload.token,
        server=os.environ["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"],
    )
    return code


def parse() -> int:
    """Print all DAGs as Airflow stores them, and the errors of the files."""
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.serialization.serialized_objects import DagSerialization

    bag = BundleDagBag(
        dag_folder=str(DAGS),
        bundle_path=DAGS,
        bundle_name=f"project.{os.environ['PROJECT']}",
        load_op_links=False,
        safe_mode=True,  # only files that mention DAGs and Airflow, as everywhere in Airflow
    )
    errors = {_relative(path): _short(text) for path, text in bag.import_errors.items()}
    dags = []
    for dag in bag.dags.values():
        try:
            dags.append(DagSerialization.to_dict(dag))
        except Exception:  # noqa: BLE001  # of any kind: it depends on the author's code
            errors[_relative(dag.fileloc)] = _short(traceback.format_exc())
    packed = zlib.compress(json.dumps({"dags": dags}).encode(), 9)
    result = {"errors": errors, "packed": base64.b85encode(packed).decode()}
    sys.stdout.flush()
    os.write(1, f"\n{RESULT}{json.dumps(result)}\n".encode())
    return 0


def _relative(path: str) -> str:
    return str(Path(path).relative_to(DAGS)) if Path(path).is_relative_to(DAGS) else path


def _short(text: str) -> str:
    """The end of a traceback, with paths as the author knows them."""
    return "\n".join(text.replace(f"{DAGS}/", "").rstrip().splitlines()[-MOST_LINES:])


def main() -> Any:
    os.umask(0o077)
    unpack()
    configure()
    return {"run": run, "parse": parse}[sys.argv[1]]()


if __name__ == "__main__":
    raise SystemExit(main())
