"""Members of a project log in at the API server with their own name, and have the project's rights only."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlops_platform.adapters.kube import Kube, KubeError

from tests.e2e.platform import CLI, Platform

pytestmark = pytest.mark.e2e

MEMBER, MINE, OTHER = "kim", "own-team", "other-team"


@pytest.fixture(scope="module")
def password(platform: Platform) -> Iterator[str]:
    """The password of a user who is a member of one of two projects."""
    made = platform.ok("user", "add", MEMBER, "--group", "viewers", "--output", "json").envelope
    platform.ok("project", "add", MINE, "--member", f"user/{MEMBER}:edit")
    platform.ok("project", "add", OTHER, "--member", "data-scientists:edit")
    yield made["data"]["password"]
    platform.ok("user", "remove", MEMBER)
    for name in (MINE, OTHER):
        platform.ok("project", "remove", name, "--yes")


@pytest.fixture(scope="module")
def kubeconfig(platform: Platform, password: str) -> Path:
    """The kubeconfig of the project, with a login that was kept."""
    platform.ok("kubeconfig", "--project", MINE)  # the API server takes the issuer
    with platform.opened("gateway"):
        command = [*CLI, "kubeconfig", "--project", MINE, "--user", MEMBER, "--password-stdin"]
        seen = subprocess.run(
            command, input=password, capture_output=True, text=True, env=platform.env, cwd=platform.folder
        )
    assert seen.returncode == 0, seen.stderr
    return Path(seen.stdout.strip())


@pytest.fixture
def kube(platform: Platform, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> Kube:
    monkeypatch.setenv("MLOPS_PLATFORM_HOME", str(platform.home))
    return Kube(kubeconfig)


def test_member_is_known_by_name_and_groups(kube: Kube) -> None:
    api = "authentication.k8s.io/v1"
    body = {"apiVersion": api, "kind": "SelfSubjectReview"}
    seen = kube.raw("POST", f"/apis/{api}/selfsubjectreviews", body)["status"]["userInfo"]
    assert seen["username"] == MEMBER
    assert sorted(seen["groups"]) == ["system:authenticated", "viewers"]


def test_member_has_the_role_in_the_own_project(kube: Kube) -> None:
    meta = {"name": "of-a-member", "namespace": MINE}
    kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"a": "b"}})
    assert kube.get("v1", "ConfigMap", "of-a-member", MINE)


@pytest.mark.parametrize(
    ("kind", "namespace"),
    [
        ("Pod", OTHER),
        ("ConfigMap", OTHER),
        ("Secret", MINE),
        ("Pod", "minio"),
        ("Namespace", ""),
        ("Node", ""),
    ],
)
def test_member_has_no_other_right(kube: Kube, kind: str, namespace: str) -> None:
    with pytest.raises(KubeError) as error:
        kube.list("v1", kind, namespace)
    assert error.value.status == 403


def test_member_gets_no_token_of_the_projects_accounts(kube: Kube) -> None:
    with pytest.raises(KubeError) as error:
        kube.token(MINE, "trainer", "minio")
    assert error.value.status == 403


def test_kubeconfig_has_no_secret_and_the_kept_login_is_private(platform: Platform, kubeconfig: Path) -> None:
    user = json.loads(kubeconfig.read_text())["users"][0]["user"]
    assert set(user) == {"exec"}
    (kept,) = (platform.state / "logins").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600


def test_token_of_a_machine_is_no_login_at_the_api_server(platform: Platform, kubeconfig: Path) -> None:
    """It has another issuer and another audience."""
    token = platform.ok("token", MEMBER).out.strip()
    config = json.loads(kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    file = platform.folder / "machine.kubeconfig"
    file.write_text(json.dumps(config))
    with pytest.raises(KubeError) as error:
        Kube(file).list("v1", "Pod", MINE)
    assert error.value.status == 401


def test_wrong_password_is_an_error_that_names_no_secret(platform: Platform, kubeconfig: Path) -> None:
    with platform.opened("gateway"):
        command = [*CLI, "kubeconfig", "--project", MINE, "--user", MEMBER, "--password-stdin"]
        seen = subprocess.run(
            command,
            input="wrong-password",
            capture_output=True,
            text=True,
            env=platform.env,
            cwd=platform.folder,
        )
    assert seen.returncode == 5
    assert "refused the login" in seen.stderr and "wrong-password" not in seen.stderr
