"""Training: reads the data of the project, logs a run and its model in MLflow. Runs in a TrainJob."""

import io
import json
import os

import boto3
import mlflow
import pandas
import sklearn
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

bucket, _, prefix = f"{os.environ['DATA_URI']}/".removeprefix("s3://").partition("/")
parameters = json.loads(os.environ["PARAMETERS"])
table = pandas.read_csv(
    io.BytesIO(boto3.client("s3").get_object(Bucket=bucket, Key=prefix + os.environ["DATA"])["Body"].read())
)
labels = table.pop("species")
seen, kept, its, their = train_test_split(table, labels, test_size=0.3, random_state=0, stratify=labels)

mlflow.set_experiment("golden-path")
with mlflow.start_run(run_name=os.environ["INPUTS"][:10], tags={"inputs": os.environ["INPUTS"]}):
    model = LogisticRegression(**parameters).fit(seen, its)
    mlflow.log_params(parameters)
    mlflow.log_metric("accuracy", model.score(kept, their))
    rows = kept.head(10)
    mlflow.log_dict(
        {"rows": rows.to_numpy().tolist(), "predictions": model.predict(rows).tolist()}, "questions.json"
    )
    mlflow.sklearn.log_model(
        model,
        name="model",
        signature=infer_signature(seen, its),
        pip_requirements=[f"scikit-learn=={sklearn.__version__}"],
    )
