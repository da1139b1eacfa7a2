"""Artifacts in the bucket: sent through the server, each request only in the part of its workspace.

A model version's source and a trace's tag `mlflow.artifactLocation` are any text that a client sends, and
MLflow 3.17.2 opens them with the server's own keys: files of another workspace, or of another store.
"""

from __future__ import annotations

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import _artifact_repository_registry
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository
from mlflow.utils.workspace_context import get_request_workspace
from places import inside, path_of

# `runs` and `models` name objects of the request's workspace; `mlflow-artifacts` is this server.
_SCHEMES = frozenset({"s3", "runs", "models", "mlflow-artifacts"})


def serve_artifacts(root: str) -> None:
    """Let MLflow open artifacts below `root` only, and send them through the server.

    Clients cannot resolve the object store's address. Since 3.17 the server offers that to every client as
    soon as its store's class can do it (handlers.py: isinstance of MultipartDownloadMixin), and a client
    outside then waits forever. No setting turns it off, so the store gets a class that cannot do it.
    """

    class WorkspaceArtifacts(ArtifactRepository):
        """A part of the bucket. Its root is for paths that MLflow has put below the workspace."""

        def __init__(self, artifact_uri: str, *args: object, **kwargs: object) -> None:
            super().__init__(artifact_uri, *args, **kwargs)
            path = path_of(artifact_uri, root)
            if path is None or (path and not inside(path, get_request_workspace())):
                raise _denied()
            self._path = path
            self._store = S3ArtifactRepository(artifact_uri, *args, **kwargs)

        def _require_inside(self, path: str | None) -> None:
            full = "/".join(filter(None, (self._path, (path or "").rstrip("/"))))
            if not inside(full, get_request_workspace()):
                raise _denied()

        def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
            self._require_inside(artifact_path)
            self._store.log_artifact(local_file, artifact_path)

        def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
            self._require_inside(artifact_path)
            self._store.log_artifacts(local_dir, artifact_path)

        def list_artifacts(self, path: str | None = None) -> object:
            self._require_inside(path)
            return self._store.list_artifacts(path)

        def download_artifacts(self, artifact_path: str, dst_path: str | None = None) -> object:
            self._require_inside(artifact_path)
            return super().download_artifacts(artifact_path, dst_path)

        def _download_file(self, remote_file_path: str, local_path: str) -> None:
            # Called in threads that do not know the request; the callers above have checked the path.
            self._store._download_file(remote_file_path, local_path)

        def delete_artifacts(self, artifact_path: str | None = None) -> None:
            self._require_inside(artifact_path)
            self._store.delete_artifacts(artifact_path)

    known = _artifact_repository_registry._registry
    for scheme in set(known) - _SCHEMES:
        del known[scheme]
    _artifact_repository_registry.register("s3", WorkspaceArtifacts)


def _denied() -> MlflowException:
    return MlflowException("these artifacts are not in the workspace of the request", PERMISSION_DENIED)
