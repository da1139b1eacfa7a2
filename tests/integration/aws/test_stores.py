"""The managed stores with the real Terraform: created, protected from `--yes`, retained."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlops_platform.base.errors import Exit
from mlops_platform.run.connect import read_only
from mlops_platform.run.open import open_environment

from tests.fakes.aws import Account
from tests.integration.aws.made import up
from tests.integration.aws.world import Machine

pytestmark = [
    pytest.mark.integration,
    pytest.mark.soak,
]  # the provider waits 80 s for each change of a database


def test_managed_stores_replace_components_and_retained_bucket_stays(
    account: Account, tmp_path: Path
) -> None:
    with Machine(account, tmp_path).used() as machine:
        own = {"object_store": "s3", "sql": "rds"}
        machine.write("staging", "mlflow", network_policy="standard", nat="none", **own)
        said = up(machine, "staging")
        assert said.code == Exit.DONE, said.envelope
        cluster = read_only(open_environment("staging")).cluster
        database, bucket = cluster.managed_servers["sql"], cluster.managed["object-store"].values("mlflow")
        assert database.address[1] == 5432 and database.admin()["user"] == "platform"
        account.client("s3").put_object(Bucket=bucket["name"], Key="mlflow/model", Body=b"kept")

        said = machine.down("staging", allow_data_loss=False)
        assert said.code == Exit.USAGE and bucket["name"] in said.error["why"]
        said = machine.down("staging", retain=frozenset({"buckets"}))
        assert said.code == Exit.DONE and said.data["left"] == [], said.progress
        assert {each["kind"] for each in said.data["stays"] if each["keep"]} >= {"bucket", "key"}
        held = account.client("s3").get_object(Bucket=bucket["name"], Key="mlflow/model")
        assert held["Body"].read() == b"kept", "the key still exists"
        assert account.client("rds").describe_db_instances()["DBInstances"] == []
