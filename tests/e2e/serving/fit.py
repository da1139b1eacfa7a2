"""A training job that registers models of several kinds."""

# Versions 1 and 2 are models, version 3 is a folder that is none. `petals` has its own code, `lacks` also a
# package that the runtime has not. The data of the project has a model too.
FIT = """\
import os, sys
from pathlib import Path

import boto3, mlflow
from mlflow.models import infer_signature
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

x, y = load_iris(return_X_y=True)
mlflow.set_experiment("flowers")
for strength in (1.0, 2.0):
    model = LogisticRegression(max_iter=500, C=strength).fit(x, y)
    with mlflow.start_run() as run:
        mlflow.sklearn.log_model(
            model, name="model", signature=infer_signature(x, y), registered_model_name="iris"
        )
        mlflow.log_text("no model", "broken/readme")
client = mlflow.MlflowClient()
client.create_model_version("iris", f"runs:/{run.info.run_id}/broken", run.info.run_id)
client.set_registered_model_alias("iris", "champion", "1")

Path("/tmp/own").mkdir()
Path("/tmp/own/rules.py").write_text("def wide(row): return int(row > 2)")
Path("/tmp/petals.py").write_text('''
import mlflow
class Petals(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        from own.rules import wide
        return [wide(value) for value in model_input["width"]]
mlflow.models.set_model(Petals())
''')
sys.path.insert(0, "/tmp")
import pandas
signature = infer_signature(pandas.DataFrame({"width": [0.2]}), [0])
for name, needs in (("petals", []), ("lacks", ["xgboost==3.1.2"])):
    mlflow.pyfunc.log_model(
        name="model", python_model="/tmp/petals.py", code_paths=["/tmp/own"], signature=signature,
        pip_requirements=["pandas", *needs], registered_model_name=name,
    )
mlflow.sklearn.save_model(model, "/tmp/stored", signature=infer_signature(x, y))
bucket = boto3.resource("s3").Bucket(os.environ["DATA_URI"].removeprefix("s3://"))
for file in Path("/tmp/stored").iterdir():
    bucket.upload_file(str(file), f"stored/{file.name}")
print("three versions")
"""
