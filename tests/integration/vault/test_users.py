"""The issuer and its users in a real Vault, with the installer's policy."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hvac.exceptions import Forbidden
from mlops_platform.adapters.vault.errors import VaultError
from mlops_platform.adapters.vault.issuer import Wanted, configure
from mlops_platform.adapters.vault.session import client
from mlops_platform.adapters.vault.users import User, Users

from tests.integration.vault.bao import LoopbackVault

WANTED = Wanted(
    "sign-on", "https://login.example.com", "http://issuer:8200", ("https://auth.example.com/back",)
)
ADA = User("ada", "person", ("data-scientists",), "ada@example.com")


@contextmanager
def known(connection: LoopbackVault) -> Iterator[Users]:
    with connection.session() as vault:
        configure(vault.client, WANTED)
        yield Users(vault.client)


def login(connection: LoopbackVault, name: str, password: str) -> str:
    with connection.open() as address, client(address) as api:
        found: str = api.auth.userpass.login(name, password)["auth"]["client_token"]
        return found


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return found


def test_second_creation_returns_the_same_client(connection: LoopbackVault) -> None:
    with connection.session() as vault:
        assert configure(vault.client, WANTED) == configure(vault.client, WANTED)


def test_user_is_created_changed_and_removed(connection: LoopbackVault) -> None:
    with known(connection) as users:
        users.put(ADA, "correct horse")
        assert users.find("ada") == ADA
        held = login(connection, "ada", "correct horse")
        with pytest.raises(VaultError):
            login(connection, "ada", "wrong horse")
        users.put(User("ada", "person", ("viewers",), "ada@example.com"))
        found = users.find("ada")
        assert found and found.groups == ("viewers",)
        assert login(connection, "ada", "correct horse"), "the password must stay"
        users.set_password("ada", "battery staple")
        with pytest.raises(VaultError):
            login(connection, "ada", "correct horse")
        users.remove("ada")
        assert users.find("ada") is None
        with pytest.raises(VaultError):
            login(connection, "ada", "battery staple")
        with connection.open() as address, client(address, held) as api, pytest.raises(Forbidden):
            api.auth.token.lookup_self()


def test_machine_token_has_only_name_and_groups(connection: LoopbackVault) -> None:
    with known(connection) as users:
        users.put(User("robot", "machine", ("viewers",), "robot@example.com"))
        said = claims(users.token("robot"))
        assert said["preferred_username"] == "robot" and said["groups"] == ["viewers"]
        assert said["aud"] == "mlops-platform" and said["iss"] == "http://issuer:8200/v1/identity/oidc"
        assert said["exp"] - said["iat"] == 3600
        with pytest.raises(VaultError):
            login(connection, "robot", "")
        users.remove("robot")


def test_user_changes_only_its_own_password(connection: LoopbackVault) -> None:
    with known(connection) as users:
        users.put(ADA, "correct horse")
        users.put(User("bob", "person", ("viewers",), "bob@example.com"), "tromboning")
        with connection.open() as address, client(address, login(connection, "ada", "correct horse")) as api:
            api.write_data("auth/userpass/users/ada/password", data={"password": "battery staple"})
            with pytest.raises(Forbidden):
                api.write_data("auth/userpass/users/bob/password", data={"password": "battery staple"})
            for path in (
                "secret/data/platform/x",
                "identity/entity/name/bob",
                "sys/policies/acl/platform-user",
            ):
                with pytest.raises(Forbidden):
                    api.read(path)
        assert login(connection, "ada", "battery staple")
        users.remove("ada")
        users.remove("bob")


def test_users_of_a_killed_smoke_test_are_removed_by_the_next(connection: LoopbackVault) -> None:
    with known(connection) as users:
        first, second = users.begin_trial("one"), users.begin_trial("two")
        assert set(first) == set(second) == {"platform-admins", "data-scientists", "viewers", ""}
        with pytest.raises(VaultError):
            login(connection, first[""]["name"], first[""]["password"])
        assert login(connection, second[""]["name"], second[""]["password"])
        users.end_trial()
        assert not [user for user in users.list() if user.kind == "trial"]


def test_foreign_users_are_not_listed(connection: LoopbackVault) -> None:
    with known(connection) as users, connection.session() as vault:
        vault.client.write_data("identity/entity/name/other", data={"metadata": {"email": "x@example.com"}})
        assert "other" not in {user.name for user in users.list()}
