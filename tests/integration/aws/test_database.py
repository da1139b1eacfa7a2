"""The environment's RDS instance as a managed server: its address and admin account."""

from __future__ import annotations

import json

import pytest
from mlops_platform.base.errors import StepError
from mlops_platform.clusters.aws.database import Database
from mlops_platform.clusters.aws.session import session_of

from tests.fakes.aws import Account
from tests.integration.aws.planting import Garden, pairs

pytestmark = pytest.mark.integration

TAGS = {"mlops-platform/env": "staging"}


def test_database_is_found_by_tag_and_password_read_from_secrets_manager(account: Account) -> None:
    database = Database(session_of(account.region), "staging", ("10.0.0.0/18", "10.0.64.0/18"))
    with pytest.raises(StepError, match="0 databases"):
        _ = database.address
    garden = Garden(account, TAGS, "staging")
    subnet = garden.network()
    rds = account.client("rds")
    rds.create_db_subnet_group(
        DBSubnetGroupName="data", DBSubnetGroupDescription="data", SubnetIds=[subnet, garden.other_subnet]
    )
    for name, tags in (("ours", TAGS), ("anothers", {"mlops-platform/env": "other"}), ("strangers", {})):
        rds.create_db_instance(
            DBInstanceIdentifier=name,
            Engine="postgres",
            DBInstanceClass="db.t4g.medium",
            AllocatedStorage=20,
            MasterUsername="platform",
            ManageMasterUserPassword=True,
            DBSubnetGroupName="data",
            Tags=pairs(tags),
        )
    made = rds.describe_db_instances(DBInstanceIdentifier="ours")["DBInstances"][0]
    secret = made["MasterUserSecret"]["SecretArn"]
    held = json.dumps({"username": "platform", "password": "of the admin"})
    account.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=held)

    assert database.address == (made["Endpoint"]["Address"], 5432)
    assert database.endpoints == [("10.0.0.0/18", 5432), ("10.0.64.0/18", 5432)]
    assert database.admin() == {"user": "platform", "password": "of the admin"}
