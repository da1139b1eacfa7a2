"""Runs Helm: install, upgrade, recover, uninstall, with our own waits and Helm's own history."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_platform.adapters.buildonce import tethered
from mlops_platform.adapters.helm.charts import Build, Charts, Check, write_values
from mlops_platform.adapters.helm.release import (
    ANSWERED_LABEL,
    CHART_LABEL,
    DIGEST_LABEL,
    PENDING,
    Installed,
    Release,
    changed_lines,
    decode,
    digest_of,
    read_installed,
)
from mlops_platform.adapters.helm.sources import ChartSource, title_of
from mlops_platform.adapters.kube.readiness import WORKLOADS_LABEL, selectors, wait_ready, workload_count
from mlops_platform.adapters.process import Completed, pasteable, run
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import CommandFailed
from mlops_platform.base.progress import Progress

if TYPE_CHECKING:
    from mlops_platform.adapters.kube import Kube

_RECORDS = "owner=helm"
_POLICY = "helm.sh/resource-policy"
_HISTORY = 10
_UNINSTALL_SECONDS = 300.0


class Helm:
    """One cluster's releases. Thread-safe; several may be changed at once, each by one thread.

    `folder` has Helm's own files and the values of each release, `cache` the downloaded charts; the user's
    Helm configuration is neither read nor written. `binary` and `kustomize` return the programs and are
    called only when one is needed.
    """

    def __init__(
        self,
        binary: Callable[[], Path],
        kubeconfig: Path,
        folder: Path,
        *,
        cache: Path,
        kube: Kube,
        kustomize: Build,
    ) -> None:
        self._binary = binary
        self._kubeconfig = kubeconfig
        self._folder = folder
        self._kube = kube
        self._charts = Charts(self._run, cache, folder, kustomize, kube.version)
        self._lock = threading.Lock()
        self._installed: Mapping[tuple[str, str], Installed] | None = None
        self._identities: dict[ChartSource, tuple[str, ...]] = {}

    def digest(self, release: Release) -> str:
        """Digest of the release's inputs in 16 hex digits: chart contents, values, labels."""
        source = release.source
        if source not in self._identities:
            self._identities[source] = source.identity()
        return digest_of(release, self._identities[source])

    def installed(self) -> Mapping[tuple[str, str], Installed]:
        """All releases of the cluster by (namespace, name): one request, cached until the next change."""
        with self._lock:
            if self._installed is None:
                self._installed = read_installed(self._kube.metadata("v1", "Secret", labels=_RECORDS))
            return self._installed

    def diff(self, release: Release) -> list[str]:
        """Changed lines of values and chart, compared with the installed revision."""
        found = self.installed().get((release.namespace, release.name))
        if not found:
            return []
        record = self._kube.get("v1", "Secret", _record_name(release.name, found.revision), release.namespace)
        if not record:
            return []
        there = decode(record)
        lines = changed_lines(there.get("config") or {}, release.values)
        title = _label_text(title_of(release.source))
        if title != found.chart:
            lines.insert(0, f"chart: {found.chart or '(unknown)'} → {title}")
        certificate = " or certificate" if release.certificate else ""
        return lines or [f"chart contents{certificate}"]

    def recover(self, namespace: str, name: str, progress: Progress) -> None:
        """Repair a release that a killed Helm left pending.

        It is rolled back to the last deployed revision. Without one it is uninstalled; but an uninstall
        deletes the claims in the chart's templates, with their data, so if there are any, only Helm's record
        is deleted: the next install adopts the objects.
        """
        found = self.installed().get((namespace, name))
        if not found or found.status not in {*PENDING, "uninstalling"}:
            return
        deployed = [r for r in self._revisions(namespace, name) if r["status"] == "deployed"]
        state = f"a killed Helm left {name} in the status {found.status}"
        if found.status == "uninstalling":
            progress.note(f"{state}: the uninstall is completed")
            self.uninstall(namespace, name, progress)
        elif deployed:
            revision = max(int(r["version"]) for r in deployed)
            progress.note(f"{state}: rolled back to revision {revision}")
            self._change("rollback", name, str(revision), "--namespace", namespace, *_SERVER_SIDE)
        elif self._would_lose(namespace, name):
            progress.note(f"{state}: its record is deleted, the next install adopts its objects")
            for record in self._revisions(namespace, name):
                self._kube.delete("v1", "Secret", _record_name(name, int(record["version"])), namespace)
            self._forget()
        else:
            progress.note(f"{state}: uninstalled")
            self.uninstall(namespace, name, progress)

    def _would_lose(self, namespace: str, name: str) -> bool:
        """True if an uninstall would delete a volume claim: one of this release without the policy `keep`."""
        for claim in self._kube.metadata("v1", "PersistentVolumeClaim", namespace):
            notes = claim["metadata"].get("annotations") or {}
            if notes.get("meta.helm.sh/release-name") == name and notes.get(_POLICY) != "keep":
                return True
        return False

    def upgrade(
        self, release: Release, progress: Progress, cancel: Cancel, check: Check = lambda _: None
    ) -> None:
        """Install or upgrade, then wait for the rollout. `check` gets objects that are rendered here.

        Raises CommandFailed with Helm's message, StepError with the end of a pod's log.
        """
        chart = self._charts.prepare(release, check, progress, cancel)
        if chart.definitions:
            progress.say(f"{len(chart.definitions)} resource definitions")
            self._kube.apply(*chart.definitions)
        progress.say("helm upgrade")
        found = self.installed().get((release.namespace, release.name))
        revision = found.revision + 1 if found else 1
        labels = {
            **release.labels,
            DIGEST_LABEL: f"{self.digest(release)}.{revision}",
            CHART_LABEL: _label_text(title_of(release.source)),
        }
        said = self._change(
            *("upgrade", release.name, str(chart.path), "--install", "--namespace", release.namespace),
            *("--values", str(write_values(self._folder, release)), "--output", "json", "--skip-crds"),
            *("--labels", ",".join(f"{k}={v}" for k, v in sorted(labels.items()))),
            *("--history-max", str(_HISTORY), "--timeout", f"{release.timeout_seconds:.0f}s", *_SERVER_SIDE),
            cancel=cancel,
            seconds=release.timeout_seconds + 30,
        )
        count = workload_count(json.loads(said.stdout).get("manifest", ""), release.namespace)
        self._note(release, revision, {WORKLOADS_LABEL: str(count)})
        wait_ready(
            self._kube,
            release.namespace,
            release.name,
            progress=progress,
            cancel=cancel,
            seconds=release.timeout_seconds,
        )

    def note_answered(self, release: Release) -> None:
        """Note that the webhooks of the installed revision answer: a killed `up` must wait for them again."""
        revision = self.installed()[release.namespace, release.name].revision
        self._note(release, revision, {ANSWERED_LABEL: str(revision)})
        self._forget()

    def uninstall(self, namespace: str, name: str, progress: Progress) -> None:
        """Uninstall the release and wait for the end of its pods. Claims of StatefulSets and CRDs stay."""
        matching = selectors(self._kube, namespace, name)
        timeout = ("--timeout", f"{_UNINSTALL_SECONDS:.0f}s")
        self._change("uninstall", name, "--namespace", namespace, "--ignore-not-found", *timeout)

        def gone() -> bool | Pending:
            pods = [p for s in matching for p in self._kube.metadata("v1", "Pod", namespace, labels=s)]
            names = sorted(p["metadata"]["name"] for p in pods)
            return Pending(f"{len(names)} pods still end: {', '.join(names[:3])}") if names else True

        wait_until(
            f"{name}: pods gone",
            gone,
            seconds=_UNINSTALL_SECONDS,
            on_seen=progress.say,
            command=self._kube.kubectl("--namespace", namespace, "get", "pods"),
        )

    def _revisions(self, namespace: str, name: str) -> list[Mapping[str, str]]:
        records = self._kube.metadata("v1", "Secret", namespace, labels=f"{_RECORDS},name={name}")
        return [record["metadata"]["labels"] for record in records]

    def _note(self, release: Release, revision: int, labels: Mapping[str, str]) -> None:
        """Add labels to Helm's record that are known only after the release is rendered."""
        record = _record_name(release.name, revision)
        self._kube.patch("v1", "Secret", record, release.namespace, body={"metadata": {"labels": labels}})

    def _change(
        self, command: str, *arguments: str, cancel: Cancel | None = None, seconds: float = 600
    ) -> Completed:
        """Run a Helm command that changes releases, and drop the cached list of releases."""
        argv = [command, *arguments, "--kubeconfig", str(self._kubeconfig)]
        try:
            return self._run(argv, cancel=cancel, seconds=seconds)
        finally:
            self._forget()

    def _forget(self) -> None:
        with self._lock:
            self._installed = None

    def _run(self, arguments: list[str], *, cancel: Cancel | None = None, seconds: float = 600) -> Completed:
        """Run Helm; it dies with this process (see `recover`). Raises CommandFailed with the command."""
        argv = [str(self._binary()), *arguments]
        what = f"helm {' '.join(arguments[:2])}"
        try:
            return run(tethered(argv), env=self._environment(), cancel=cancel, seconds=seconds, what=what)
        except CommandFailed as error:
            error.command = pasteable(argv)
            raise

    def _environment(self) -> dict[str, str]:
        """Helm's variables without the user's: unknown plugins or repositories would change the result."""
        users = dict.fromkeys((key for key in os.environ if key.startswith("HELM_")), "")
        homes = {
            f"HELM_{kind.upper()}_HOME": str(self._folder / kind) for kind in ("cache", "config", "data")
        }
        return {
            **users,
            **homes,
            "HELM_REGISTRY_CONFIG": str(self._folder / "config" / "registry.json"),
            "HELM_REPOSITORY_CONFIG": str(self._folder / "config" / "repositories.yaml"),
            "HELM_REPOSITORY_CACHE": str(self._folder / "cache" / "repository"),
            "HELM_CONTENT_CACHE": str(self._folder / "cache" / "content"),
            "HELM_PLUGINS": str(self._folder / "data" / "plugins"),
            "HELM_DRIVER": "secret",
            "KUBECACHEDIR": str(self._folder / "cache" / "kube"),
        }


# Fields that others set (kubectl scale, kubectl edit) are overwritten: the values decide.
_SERVER_SIDE = ("--server-side=true", "--force-conflicts")


def _record_name(name: str, revision: int) -> str:
    return f"sh.helm.release.v1.{name}.v{revision}"


def _label_text(text: str) -> str:
    """The text as a valid label value, in which a version's '+' is not allowed."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", text)[:63].strip("._-")
