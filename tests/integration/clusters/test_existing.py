"""A cluster that exists already, on a real API server: reached as its kubeconfig says, left as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.kubeconfig import KubeconfigError
from mlops_platform.adapters.terraform import Terraform
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import WaitTimedOut
from mlops_platform.base.progress import Silent
from mlops_platform.clusters import options_model
from mlops_platform.clusters.aws import credentials, first_policies
from mlops_platform.clusters.existing.cluster import ExistingCluster
from mlops_platform.clusters.existing.options import Options

from tests.integration.apiserver import ApiServer

pytestmark = pytest.mark.integration


def provider(folder: Path, kubeconfig: Path, context: str) -> ExistingCluster:
    options = Options(
        provider="existing",
        kubeconfig=str(kubeconfig),
        context=context,
        storage_class="standard",
        labels={"team": "a"},
    )
    return ExistingCluster("shared", folder / "state", options)


def written(apiserver: ApiServer, folder: Path, user: dict[str, Any] | None = None) -> Path:
    """The server's kubeconfig as a user has it: with other contexts, one of which is current."""
    data = yaml.safe_load(apiserver.kubeconfig.read_text())
    base = apiserver.kubeconfig.parent
    for part, items in (("cluster", data["clusters"]), ("user", data["users"])):
        for item in items:
            item[part] = {
                k: str(base / v) if k in ("certificate-authority", "client-certificate", "client-key") else v
                for k, v in item[part].items()
            }
    mine = {**data["contexts"][0], "name": "mine"}
    other = {"name": "other", "context": {"cluster": "nowhere", "user": "none"}}
    users = [{"name": mine["context"]["user"], "user": user}] if user else data["users"]
    file = folder / "config"
    file.write_text(
        yaml.safe_dump({**data, "users": users, "contexts": [mine, other], "current-context": "other"})
    )
    return file


def test_cluster_is_reached_by_the_named_context(apiserver: ApiServer, tmp_path: Path) -> None:
    file = written(apiserver, tmp_path)
    before = file.read_bytes()
    cluster = provider(tmp_path, file, "mine")
    wait_until("a ready server", lambda: Pending(seen) if (seen := cluster.alive()) else True, seconds=120)
    assert [c.status for c in cluster.checks()] == ["ok"]
    assert not cluster.state.exists(), "looking leaves nothing behind"
    cluster.prepare(Silent())
    terraform = Terraform(cluster.root, cluster.state / "terraform", cluster.remote)
    outputs = terraform.apply(cluster.variables(), Silent(), Cancel())
    assert outputs["tags"] == {"mlops-platform/env": "shared", "team": "a"}
    access = cluster.access(outputs)
    assert access.name == "mine" and access.token is None
    Kube(access.kubeconfig).check_ready()
    assert access.kubeconfig.stat().st_mode & 0o077 == 0 and file.read_bytes() == before
    terraform.destroy(cluster.variables(), Silent(), Cancel())
    cluster.teardown.destroy_files(keep_data=False, progress=Silent())
    assert cluster.teardown.inventory() == () and cluster.alive() == ""


def test_exec_program_of_kubeconfig_gives_the_token(apiserver: ApiServer, kube: Kube, tmp_path: Path) -> None:
    kube.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "person", "namespace": "default"}}
    )
    token = kube.token("default", "person")
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
    said = tmp_path / "said"
    said.write_text(json.dumps({**credential, "status": {"token": token}}))
    run = {"apiVersion": credential["apiVersion"], "command": "cat", "args": [str(said)]}
    cluster = provider(tmp_path, written(apiserver, tmp_path, {"exec": run}), "mine")
    assert cluster.alive() == ""
    said.write_text(json.dumps({**credential, "status": {"token": "no"}}))
    assert "401" in cluster.alive() or "Unauthorized" in cluster.alive()


def test_missing_context_is_named_with_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("contexts: []\n")
    cluster = provider(tmp_path, tmp_path / "config", "gone")
    with pytest.raises(KubeconfigError) as caught:
        cluster.variables()
    assert caught.value.why == "no context gone; the file has: none"
    assert "--context gone" in caught.value.command
    assert [c.status for c in cluster.checks()] == ["failure"]


def test_first_policies_allow_dns_and_disk_driver(kube: Kube) -> None:
    first_policies.apply(kube)
    first_policies.apply(kube)
    found = kube.list("networking.k8s.io/v1", "NetworkPolicy", "kube-system")
    names = {policy["metadata"]["name"] for policy in found}
    assert {"mlops-platform-dns", "mlops-platform-disks"} <= names
    assert all(set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"} for policy in found)


def test_first_policies_wait_until_cluster_knows_its_creator(
    kube: Kube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EKS reports ACTIVE some seconds before it grants its creator access."""
    monkeypatch.setattr(first_policies, "_ANSWER_SECONDS", 0.5)
    there = yaml.safe_load(kube.kubeconfig.read_text())["clusters"][0]["cluster"]
    new = credentials.kubeconfig("new", "eu-central-1", there["server"], there["certificate-authority-data"])
    (tmp_path / "new").write_text(json.dumps(new))
    with pytest.raises(WaitTimedOut, match="the API server") as caught:
        first_policies.apply(Kube(tmp_path / "new", lambda: "unknown"))
    assert "Unauthorized" in caught.value.why and "allowed_cidrs" in caught.value.hint


def test_every_provider_has_an_options_model() -> None:
    assert options_model("existing") is Options and "region" in options_model("aws").model_fields
    assert set(options_model("host").model_fields) == {"provider", "version", "simulated_gpus"}
