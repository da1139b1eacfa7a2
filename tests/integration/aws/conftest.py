"""Fixtures of the fake AWS: one server per session, a fresh account per test or module.

The tests cannot reach the real AWS: the server creates the keys, and every test checks the account id.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.fakes import terraform
from tests.fakes.aws import Account, Cloud, running


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running(tmp_path_factory.mktemp("cloud")) as found:
        yield found


@pytest.fixture(scope="module")
def shared_account(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An account for objects that a module creates once and then only reads."""
    with logged_in(cloud.account(), tmp_path_factory) as found:
        yield found


@pytest.fixture
def account(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with logged_in(cloud.account(), tmp_path_factory) as found:
        yield found


@contextmanager
def logged_in(account: Account, folders: pytest.TempPathFactory) -> Iterator[Account]:
    """Log this process and its children in to one account of the fake cloud, checked with STS."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith("AWS_")]:
            patch.delenv(name)
        found = terraform.configuration(folders.mktemp("terraform"))
        for name, value in {**account.environment(), **found}.items():
            patch.setenv(name, value)
        said = account.client("sts").get_caller_identity()["Account"]
        assert said == account.id, f"this is not the cloud of the tests, but account {said}"
        yield account
