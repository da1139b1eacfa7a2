"""Log the best trial of an Experiment to the workspace of this project; it runs in a pod of the project."""

import json
import os

record = json.loads(os.environ["RECORD"])
if not os.environ.get("MLFLOW_TRACKING_URI"):
    print("this platform has no MLflow: nothing is logged")  # noqa: T201
    raise SystemExit(0)

import mlflow  # noqa: E402

TRIAL, EXPERIMENT = "katib.trial", "katib.experiment_uid"
mlflow.set_experiment(record["experiment"])
same = f"tags.`{TRIAL}` = '{record['trial']}' and tags.`{EXPERIMENT}` = '{record['uid']}'"
if mlflow.search_runs(filter_string=same, max_results=1, output_format="list"):
    print("the best trial is logged already")  # noqa: T201
    raise SystemExit(0)
with mlflow.start_run(run_name=f"{record['experiment']}-best"):
    mlflow.log_params(record["parameters"])
    mlflow.log_metrics(record["metrics"])
    # The last: without it the next attempt logs again.
    mlflow.set_tags({TRIAL: record["trial"], EXPERIMENT: record["uid"]})
print(f"logged {record['trial']}")  # noqa: T201
