"""Charts from repositories, registries and archives on loopback: pinned by digest, with a history."""

from __future__ import annotations

import gzip
import hashlib
import json
import secrets
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from mlops_platform.adapters.helm import ChartSource, Helm, KustomizeTree, Release, RepositoryChart
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.process import run
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import StepError
from mlops_platform.base.progress import Silent

from tests.fakes.files import FileServer, serving
from tests.integration.apiserver import ApiServer
from tests.integration.helm.charts import definition, write_chart
from tests.integration.registry import Server
from tests.integration.registry import serving as registry

pytestmark = pytest.mark.integration

CHART_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"


def digest(file: Path) -> str:
    return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


@pytest.fixture
def kind() -> str:
    """A kind that no other test defines: definitions outlive their release."""
    return f"Kind{secrets.token_hex(4)}"


@pytest.fixture
def package(helm_binary: Path, tmp_path: Path, kind: str) -> Callable[[str], Path]:
    """A function that packs a chart of a version with the kind."""

    def make(version: str) -> Path:
        chart = write_chart(tmp_path / f"source-{version}" / "official", version=version, kind=kind)
        run([str(helm_binary), "package", str(chart), "--destination", str(tmp_path / "www")])
        return tmp_path / "www" / f"official-{version}.tgz"

    return make


@pytest.fixture
def www(tmp_path: Path) -> Iterator[FileServer]:
    (tmp_path / "www").mkdir()
    with serving(tmp_path / "www") as server:
        yield server


@pytest.fixture
def oci(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "registry").mkdir()
    with registry(tmp_path / "registry") as server:
        yield server


class Source:
    """Two versions of one chart in any kind of source."""

    def __init__(self, first: ChartSource, second: ChartSource, *, values: bool) -> None:
        self.first, self.second, self.values = first, second, values


@pytest.fixture(params=["repository", "oci", "kustomize", "overlay"])
def source(request: pytest.FixtureRequest) -> Source:
    made: Source = request.getfixturevalue(f"source_{request.param}")
    return made


@pytest.fixture
def source_repository(package: Callable[[str], Path], www: FileServer, helm_binary: Path) -> Source:
    archives = [package(version) for version in ("1.0.0", "2.0.0")]
    run([str(helm_binary), "repo", "index", str(archives[0].parent)])
    first, second = (
        RepositoryChart(www.url, "official", version, digest(archive))
        for version, archive in zip(("1.0.0", "2.0.0"), archives, strict=True)
    )
    return Source(first, second, values=True)


@pytest.fixture
def source_oci(package: Callable[[str], Path], www: FileServer, oci: Server, helm_binary: Path) -> Source:
    archives = [package(version) for version in ("1.0.0", "2.0.0")]
    for archive in archives:
        run([str(helm_binary), "push", str(archive), f"oci://{oci.host}/charts", "--plain-http"])
    first, second = (
        RepositoryChart(f"oci://{oci.host}/charts", "official", version, layer_digest(oci, version))
        for version in ("1.0.0", "2.0.0")
    )
    assert first.digest == digest(archives[0])  # the digest of the layer is the digest of the archive
    return Source(first, second, values=True)


def layer_digest(held: Server, version: str) -> str:
    manifest = held.manifest("charts/official", version)
    (layer,) = (each for each in manifest["layers"] if each["mediaType"] == CHART_LAYER)
    found: str = layer["digest"]
    return found


@pytest.fixture
def source_kustomize(tmp_path: Path, www: FileServer, kind: str, namespace: str) -> Source:
    return Source(
        *(kustomize_tree(tmp_path, www, ref, kind, namespace) for ref in ("v1", "v2")), values=False
    )


@pytest.fixture
def source_overlay(source_kustomize: Source) -> Source:
    """Both trees with an overlay of ours in place of theirs."""
    text = "resources: [upstream/base]\ncommonAnnotations: {version: %s}\n"
    first, second = (
        replace(tree, path="", overlay=(("kustomization.yaml", text % tree.ref),))
        for tree in (source_kustomize.first, source_kustomize.second)
        if isinstance(tree, KustomizeTree)
    )
    return Source(first, second, values=False)


def kustomize_tree(
    tmp_path: Path, www: FileServer, ref: str, kind: str, namespace: str, resource: str = "../base"
) -> KustomizeTree:
    """An archive with an overlay on a base in one top folder, as code hosts serve it.

    Like many such trees, it contains its namespace.
    """
    root = tmp_path / f"tree-{ref}" / f"project-{ref}"
    (root / "overlay").mkdir(parents=True)
    (root / "base").mkdir()
    (root / "base" / "kustomization.yaml").write_text(
        "resources: [kind.yaml, space.yaml]\n"
        "generatorOptions: {disableNameSuffixHash: true}\n"
        "configMapGenerator: [{name: official, literals: ['version={{ not.a.template }}']}]\n"
    )
    (root / "base" / "kind.yaml").write_text(definition(kind, ref))
    space = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n"
    (root / "base" / "space.yaml").write_text(space)
    overlay = f"resources: [{resource}]\ncommonAnnotations: {{version: {ref}}}\n"
    (root / "overlay" / "kustomization.yaml").write_text(overlay)
    archive = tmp_path / "www" / "project" / "archive" / f"{ref}.tar.gz"
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w:gz") as opened:
        opened.add(root, root.name)
    return KustomizeTree(f"{www.url}/project", ref, "overlay", git_tree(root, tmp_path / f"git-{ref}"))


def git_tree(folder: Path, repository: Path) -> str:
    """The id of a folder's contents, as git itself computes it."""
    git = ["git", f"--git-dir={repository}", f"--work-tree={folder}"]
    run([*git, "init", "--quiet"])
    run([*git, "add", "--all"])
    return run([*git, "write-tree"]).stdout.strip()


def release(namespace: str, source: ChartSource, *, values: bool) -> Release:
    return Release("official", namespace, source, {"data": {"colour": "blue"}} if values else {})


def defined(kube: Kube, kind: str) -> str:
    """The version of the release that applied the definition; '' if there is none."""
    name = f"{kind.lower()}s.example.test"
    found = kube.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", name)
    return str(found["metadata"]["labels"]["version"]) if found else ""


def config(kube: Kube, namespace: str) -> object:
    return kube.get("v1", "ConfigMap", "official", namespace)


def test_chart_has_history_and_rollback_and_definitions_survive_uninstall(
    source: Source,
    make_helm: Callable[[], Helm],
    kube: Kube,
    namespace: str,
    kind: str,
    helm_binary: Path,
    apiserver: ApiServer,
) -> None:
    helm = make_helm()
    helm.upgrade(release(namespace, source.first, values=source.values), Silent(), Cancel())
    assert config(kube, namespace)
    assert defined(kube, kind) in ("1.0.0", "v1")
    kube.apply(thing(kind, namespace))
    second = release(namespace, source.second, values=source.values)
    assert helm.installed()[namespace, "official"].digest != helm.digest(second)
    assert helm.diff(second)[0].startswith("chart: ")
    helm.upgrade(second, Silent(), Cancel())
    found = make_helm().installed()[namespace, "official"]
    assert (found.revision, found.status, found.digest) == (2, "deployed", helm.digest(second))

    assert defined(kube, kind) in ("2.0.0", "v2")  # Helm itself never upgrades a definition

    access = ["-n", namespace, "--kubeconfig", str(apiserver.kubeconfig)]
    run([str(helm_binary), "rollback", "official", "1", *access])
    said = run([str(helm_binary), "history", "official", "-o", "json", *access]).stdout
    assert [(e["revision"], e["status"]) for e in json.loads(said)] == [
        (1, "superseded"),
        (2, "superseded"),
        (3, "deployed"),
    ]
    assert defined(kube, kind) in ("2.0.0", "v2")
    assert kube.get("example.test/v1", kind, "mine", namespace)
    later = make_helm()
    later.uninstall(namespace, "official", Silent())
    assert config(kube, namespace) is None
    assert kube.get("example.test/v1", kind, "mine", namespace)
    assert kube.get("v1", "Namespace", namespace)


def thing(kind: str, namespace: str) -> dict[str, object]:
    meta = {"name": "mine", "namespace": namespace}
    return {"apiVersion": "example.test/v1", "kind": kind, "metadata": meta}


def test_wrong_digest_is_an_error_before_the_install(
    source: Source, helm: Helm, kube: Kube, namespace: str, kind: str, tmp_path: Path
) -> None:
    assert isinstance(source.first, (RepositoryChart, KustomizeTree))
    wrong = "sha256:" + "0" * 64
    if isinstance(source.first, KustomizeTree):
        wrong = "0" * 40
    with pytest.raises(StepError) as caught:
        changed = replace(source.first, digest=wrong)
        helm.upgrade(release(namespace, changed, values=source.values), Silent(), Cancel())
    assert caught.value.what.endswith("is not what was pinned")
    assert caught.value.why == f"pinned {wrong}\nseen   {source.first.digest}"
    assert config(kube, namespace) is None
    assert defined(kube, kind) == ""
    assert (namespace, "official") not in helm.installed()
    assert list((tmp_path / "cache" / "charts").iterdir()) == []


def test_changed_file_in_the_cache_is_an_error(
    source: Source, make_helm: Callable[[], Helm], namespace: str, tmp_path: Path
) -> None:
    wanted = release(namespace, source.first, values=source.values)
    make_helm().upgrade(wanted, Silent(), Cancel())
    (cached,) = (tmp_path / "cache" / "charts").iterdir()
    with tarfile.open(cached, "w:gz") as changed:
        changed.add(__file__, "project/kustomization.yaml")
    with pytest.raises(StepError, match="is not what was pinned"):
        make_helm().upgrade(wanted, Silent(), Cancel())


def test_archive_that_was_packed_again_is_the_same_tree(
    source_kustomize: Source, make_helm: Callable[[], Helm], namespace: str, tmp_path: Path
) -> None:
    """Code hosts compress archives again now and then, and every file is the same."""
    (archive,) = (tmp_path / "www/project/archive").glob("v1*")
    unpacked = gzip.decompress(archive.read_bytes())
    assert archive.write_bytes(gzip.compress(unpacked, 1)) != len(unpacked)
    make_helm().upgrade(release(namespace, source_kustomize.first, values=False), Silent(), Cancel())


@pytest.mark.parametrize("content", [b"", b"no archive", gzip.compress(b"no tar"), b"\x1f\x8b\x08"])
def test_download_that_is_no_archive_is_an_error(
    source_kustomize: Source, helm: Helm, namespace: str, tmp_path: Path, content: bytes
) -> None:
    (archive,) = (tmp_path / "www/project/archive").glob("v1*")
    archive.write_bytes(content)
    with pytest.raises(StepError, match="not a tar archive"):
        helm.upgrade(release(namespace, source_kustomize.first, values=False), Silent(), Cancel())


def test_chart_is_downloaded_once(
    source_repository: Source, make_helm: Callable[[], Helm], namespace: str, www: FileServer
) -> None:
    wanted = release(namespace, source_repository.first, values=True)
    make_helm().upgrade(wanted, Silent(), Cancel())
    make_helm().upgrade(wanted, Silent(), Cancel())
    assert www.asked == ["/index.yaml", "/official-1.0.0.tgz"]


@pytest.mark.parametrize(
    "repo", ["http://charts.example.test", "http://10.0.0.1/charts", "ftp://127.0.0.1/charts"]
)
def test_plain_http_is_allowed_on_loopback_only(helm: Helm, namespace: str, repo: str) -> None:
    chart = RepositoryChart(repo, "official", "1.0.0", "sha256:" + "0" * 64)
    with pytest.raises(StepError, match="must start with https:// or oci://"):
        helm.upgrade(release(namespace, chart, values=True), Silent(), Cancel())


def test_tree_with_files_outside_its_archive_is_an_error(
    helm: Helm, namespace: str, tmp_path: Path, www: FileServer, kind: str
) -> None:
    (tmp_path / "www" / "more.yaml").write_text(definition(kind, "v3"))
    tree = kustomize_tree(tmp_path, www, "v3", kind, namespace, resource=f"{www.url}/more.yaml")
    with pytest.raises(StepError) as caught:
        helm.upgrade(release(namespace, tree, values=False), Silent(), Cancel())
    assert caught.value.what.endswith(
        "project-v3/overlay/kustomization.yaml refers to a file that is not there"
    )
    assert caught.value.why == f"{www.url}/more.yaml"
    assert "/more.yaml" not in www.asked


def test_tree_with_values_is_an_error(helm: Helm, namespace: str, source_kustomize: Source) -> None:
    with pytest.raises(StepError, match="takes no values"):
        helm.upgrade(release(namespace, source_kustomize.first, values=True), Silent(), Cancel())


def test_braces_in_a_tree_are_kept(
    helm: Helm, kube: Kube, namespace: str, tmp_path: Path, www: FileServer, kind: str
) -> None:
    tree = kustomize_tree(tmp_path, www, "v4", kind, namespace)
    helm.upgrade(release(namespace, tree, values=False), Silent(), Cancel())
    found = kube.get("v1", "ConfigMap", "official", namespace)
    assert found and found["data"] == {"version": "{{ not.a.template }}"}
