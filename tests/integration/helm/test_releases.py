"""Releases with the real Helm on a real API server: install, upgrade, kills, uninstall."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.helm import Helm, InTreeChart, Release
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.process import run
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import CommandFailed
from mlops_platform.base.progress import Silent

from tests import proc
from tests.integration.apiserver import ApiServer
from tests.integration.helm.charts import write_chart

pytestmark = pytest.mark.integration


class Notes(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    return write_chart(tmp_path / "small")


def release(namespace: str, chart: Path, *, hold: str = "", claim: bool = False, **data: str) -> Release:
    values: dict[str, Any] = {"data": data, "hold": hold, "claim": claim}
    return Release("small", namespace, InTreeChart(chart), values, timeout_seconds=60, labels={"a/b": "c"})


def data(kube: Kube, namespace: str) -> dict[str, str] | None:
    found = kube.get("v1", "ConfigMap", "small", namespace)
    return found and found["data"]


def history(helm_binary: Path, apiserver: ApiServer, namespace: str) -> list[tuple[int, str]]:
    """Revisions and statuses from `helm history`."""
    argv = ["history", "small", "-n", namespace, "-o", "json", "--kubeconfig", str(apiserver.kubeconfig)]
    said = run([str(helm_binary), *argv]).stdout
    return [(entry["revision"], entry["status"]) for entry in json.loads(said)]


def test_release_is_found_by_its_digest(
    make_helm: Callable[[], Helm], kube: Kube, namespace: str, chart: Path
) -> None:
    helm, wanted = make_helm(), release(namespace, chart, colour="blue")
    assert (namespace, "small") not in helm.installed()
    helm.upgrade(wanted, Silent(), Cancel())
    assert data(kube, namespace) == {"colour": "blue"}
    again = make_helm()
    found = again.installed()[namespace, "small"]
    assert (found.status, found.revision, found.chart) == ("deployed", 1, "small-1.0.0")
    assert found.digest == again.digest(release(namespace, chart, colour="blue"))
    assert found.digest != again.digest(release(namespace, chart, colour="red"))


def test_diff_shows_changes_before_an_upgrade_that_keeps_history(
    helm: Helm, kube: Kube, namespace: str, chart: Path, helm_binary: Path, apiserver: ApiServer
) -> None:
    helm.upgrade(release(namespace, chart, colour="blue", gone="x"), Silent(), Cancel())
    wanted = release(namespace, chart, colour="red", new="y")
    assert helm.diff(wanted) == ["data.colour: blue → red", "data.gone: x → (unset)", "data.new: (unset) → y"]
    helm.upgrade(wanted, Silent(), Cancel())
    assert data(kube, namespace) == {"colour": "red", "new": "y"}
    assert helm.installed()[namespace, "small"].digest == helm.digest(wanted)
    assert history(helm_binary, apiserver, namespace) == [(1, "superseded"), (2, "deployed")]


def test_changed_template_is_a_difference(make_helm: Callable[[], Helm], namespace: str, chart: Path) -> None:
    helm, wanted = make_helm(), release(namespace, chart)
    helm.upgrade(wanted, Silent(), Cancel())
    with (chart / "templates" / "config.yaml").open("a") as template:
        template.write("# changed\n")
    later = make_helm()
    assert later.installed()[namespace, "small"].digest != later.digest(wanted)
    assert later.diff(wanted) == ["chart contents"]


def test_upgrade_reverts_manual_changes(helm: Helm, kube: Kube, namespace: str, chart: Path) -> None:
    helm.upgrade(release(namespace, chart, colour="blue"), Silent(), Cancel())
    path = f"/api/v1/namespaces/{namespace}/configmaps/small?fieldManager=another"
    merge = "application/merge-patch+json"
    kube.raw("PATCH", path, {"data": {"colour": "pink"}}, content_type=merge)
    helm.upgrade(release(namespace, chart, colour="blue"), Silent(), Cancel())
    assert data(kube, namespace) == {"colour": "blue"}


def test_revision_of_another_helm_has_no_digest(
    make_helm: Callable[[], Helm], namespace: str, chart: Path, helm_binary: Path, apiserver: ApiServer
) -> None:
    make_helm().upgrade(release(namespace, chart, colour="blue"), Silent(), Cancel())
    argv = ["upgrade", "small", str(chart), "-n", namespace, "--set", "data.colour=pink"]
    run([str(helm_binary), *argv, "--kubeconfig", str(apiserver.kubeconfig)])
    found = make_helm().installed()[namespace, "small"]
    assert (found.revision, found.digest) == (2, "")


def test_error_of_a_template_names_the_place(helm: Helm, namespace: str, chart: Path) -> None:
    (chart / "templates" / "config.yaml").write_text("{{ .Values.data.colour.shade }}")
    with pytest.raises(CommandFailed) as failed:
        helm.upgrade(release(namespace, chart), Silent(), Cancel())
    assert failed.value.what == "helm upgrade small: exit 1"
    assert "small/templates/config.yaml:1" in failed.value.why
    assert failed.value.command.split()[1:3] == ["upgrade", "small"]
    assert (namespace, "small") not in helm.installed()


def kill_in_the_middle(
    helm: Helm, held: Release, kube: Kube, status: str, until: Callable[[], object] = lambda: True
) -> None:
    """Start an upgrade with an endless hook, and kill Helm when its record exists and `until` is true."""
    failed: list[CommandFailed] = []

    def upgrade() -> None:
        try:
            helm.upgrade(held, Silent(), Cancel())
        except CommandFailed as error:
            failed.append(error)

    thread = threading.Thread(target=upgrade)
    thread.start()
    labels = f"owner=helm,name=small,status={status}"
    wait_until(
        "a pending record",
        lambda: (
            bool(kube.metadata("v1", "Secret", held.namespace, labels=labels) and until()) or Pending("none")
        ),
        seconds=30,
    )
    for child in proc.children(os.getpid()):
        if Path(f"/proc/{child.pid}/exe").resolve().name == "helm":
            child.kill(signal.SIGKILL)
    thread.join(30)
    assert failed and failed[0].returncode == -signal.SIGKILL


def test_killed_upgrade_is_rolled_back_and_repeated(
    make_helm: Callable[[], Helm],
    kube: Kube,
    namespace: str,
    chart: Path,
    helm_binary: Path,
    apiserver: ApiServer,
) -> None:
    make_helm().upgrade(release(namespace, chart, colour="blue"), Silent(), Cancel())
    kill_in_the_middle(
        make_helm(), release(namespace, chart, hold="pre-upgrade", colour="red"), kube, "pending-upgrade"
    )
    helm, notes = make_helm(), Notes()
    assert helm.installed()[namespace, "small"].status == "pending-upgrade"
    helm.recover(namespace, "small", notes)
    assert notes.lines == [
        "a killed Helm left small in the status pending-upgrade: rolled back to revision 1"
    ]
    assert data(kube, namespace) == {"colour": "blue"}
    helm.upgrade(release(namespace, chart, colour="red"), Silent(), Cancel())
    assert data(kube, namespace) == {"colour": "red"}
    assert [entry[1] for entry in history(helm_binary, apiserver, namespace)][-1] == "deployed"


def test_killed_first_install_is_uninstalled_and_repeated(
    make_helm: Callable[[], Helm], kube: Kube, namespace: str, chart: Path
) -> None:
    kill_in_the_middle(
        make_helm(), release(namespace, chart, hold="pre-install", colour="red"), kube, "pending-install"
    )
    helm, notes = make_helm(), Notes()
    helm.recover(namespace, "small", notes)
    assert notes.lines == ["a killed Helm left small in the status pending-install: uninstalled"]
    assert (namespace, "small") not in helm.installed()
    helm.upgrade(release(namespace, chart, colour="red"), Silent(), Cancel())
    assert data(kube, namespace) == {"colour": "red"}


def test_claim_of_a_killed_install_is_kept(
    make_helm: Callable[[], Helm], kube: Kube, namespace: str, chart: Path
) -> None:
    """The hook runs after the creation of the claim, which may contain data."""
    held = release(namespace, chart, hold="post-install", claim=True, colour="red")
    kill_in_the_middle(make_helm(), held, kube, "pending-install", until=lambda: claim(kube, namespace))
    made = claim(kube, namespace)
    helm, notes = make_helm(), Notes()
    helm.recover(namespace, "small", notes)
    (line,) = notes.lines
    assert line.endswith("its record is deleted, the next install adopts its objects")
    assert claim(kube, namespace) == made
    helm.upgrade(release(namespace, chart, claim=True, colour="blue"), Silent(), Cancel())
    assert claim(kube, namespace) == made
    assert data(kube, namespace) == {"colour": "blue"}
    assert helm.installed()[namespace, "small"].status == "deployed"


def claim(kube: Kube, namespace: str) -> str:
    """The claim's uid; '' if there is none or it is being deleted."""
    found = kube.get("v1", "PersistentVolumeClaim", "small", namespace)
    return str(found["metadata"]["uid"]) if found and "deletionTimestamp" not in found["metadata"] else ""


def test_deployed_release_needs_no_recovery(helm: Helm, namespace: str, chart: Path) -> None:
    notes = Notes()
    helm.recover(namespace, "small", notes)
    helm.upgrade(release(namespace, chart), Silent(), Cancel())
    helm.recover(namespace, "small", notes)
    assert notes.lines == []
    assert helm.installed()[namespace, "small"].revision == 1


def test_uninstall_can_be_repeated(helm: Helm, kube: Kube, namespace: str, chart: Path) -> None:
    helm.upgrade(release(namespace, chart, colour="blue"), Silent(), Cancel())
    helm.uninstall(namespace, "small", Silent())
    assert data(kube, namespace) is None
    assert (namespace, "small") not in helm.installed()
    assert kube.metadata("v1", "Secret", namespace, labels="owner=helm") == []
    helm.uninstall(namespace, "small", Silent())


def test_helm_configuration_of_the_user_is_ignored(
    helm: Helm, namespace: str, chart: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HELM_KUBEAPISERVER", "https://127.0.0.1:1")
    monkeypatch.setenv("HELM_DRIVER", "memory")
    monkeypatch.setenv("HELM_PLUGINS", str(tmp_path / "users"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KUBECACHEDIR")  # so that the default would be below HOME
    helm.upgrade(release(namespace, chart), Silent(), Cancel())
    assert helm.installed()[namespace, "small"].status == "deployed"
    assert not (tmp_path / "home").exists()
