"""Objects of the API server, as dictionaries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from mlops_platform.adapters.kube.definitions import wait_served
from mlops_platform.adapters.kube.errors import KubeError
from mlops_platform.adapters.kube.resources import Resources, Served, root
from mlops_platform.adapters.kube.transport import FIELD_MANAGER, JSON, Requests, Transport

_APPLY = "application/apply-patch+yaml"  # JSON is YAML
_MERGE = "application/merge-patch+json"
_METADATA = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_PAGE = 500
_READY_SECONDS = 10.0
TOKEN_SECONDS = 600  # the shortest that the API server gives

Object = dict[str, Any]
Objects = list[Object]  # inside the class, `list` is a method


class Kube(Transport):
    """A client for one cluster; thread-safe, connections are kept. Every call may raise KubeError."""

    def __init__(
        self,
        kubeconfig: Path,
        token: Callable[[], str] | None = None,
        *,
        context: str = "",
        scratch: Path | None = None,
        connection: Requests | None = None,
    ) -> None:
        """Log in as the kubeconfig says (`context`: not its current one); raises PreflightError.

        `token` gives a valid token in place of the user's login. `scratch` is the folder for key files, by
        default the kubeconfig's. A `connection` replaces all of that.
        """
        super().__init__(kubeconfig, connection or _connection(kubeconfig, context, token, scratch))
        self._resources = Resources(lambda path: self._get(path))

    def changes(self) -> None:
        """Objects are changed from now on: a client that has read some ahead reads them again."""

    def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Object | None:
        """Return an object; None if it does not exist, or if its kind is not served."""
        path = self._path(api_version, kind, namespace, name, missing="")
        found: Object | None = self._get(path) if path else None
        return found

    def list(
        self, api_version: str, kind: str, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> Objects:
        """List objects of one namespace, or of all. `labels` and `fields` are selectors as in kubectl."""
        path = self._path(api_version, kind, namespace)
        found = self._pages(path, JSON, labels, fields)
        # Items of a list have neither field.
        return [{"apiVersion": api_version, "kind": kind, **item} for item in found]

    def metadata(self, api_version: str, kind: str, namespace: str = "", *, labels: str = "") -> Objects:
        """List names, labels and annotations (PartialObjectMetadata) without the objects' contents."""
        return self._pages(self._path(api_version, kind, namespace), _METADATA, labels, "")

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Apply objects (server-side) in the given order, and take over fields that others own.

        After a CustomResourceDefinition, wait until its kind is served.
        https://kubernetes.io/docs/reference/using-api/server-side-apply/
        """
        query = urlencode({"fieldManager": FIELD_MANAGER, "force": "true"})
        for each in objects:
            self.raw("PATCH", f"{self._object_path(each)}?{query}", each, content_type=_APPLY)
            if each["kind"] == "CustomResourceDefinition":
                self._wait_served(each)

    def patch(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str = "",
        *,
        body: Mapping[str, Any],
        subresource: str = "",
    ) -> Object:
        """Change the named fields of an object (a JSON merge patch); None removes a field."""
        path = self._path(api_version, kind, namespace, name) + (f"/{subresource}" if subresource else "")
        changed: Object = self.raw("PATCH", path, body, content_type=_MERGE)
        return changed

    def replace(self, each: Mapping[str, Any]) -> Object:
        """Write a whole object. With a resourceVersion that is no longer current: a KubeError 409."""
        replaced: Object = self.raw("PUT", self._object_path(each), each)
        return replaced

    def create(self, each: Mapping[str, Any], *, dry_run: bool = False) -> Object:
        """Create an object; an existing one is a KubeError 409.

        `dry_run` asks the server to admit and validate the object without storing it.
        """
        query = {"fieldManager": FIELD_MANAGER, **({"dryRun": "All"} if dry_run else {})}
        path = self._path(each["apiVersion"], each["kind"], each["metadata"].get("namespace", ""))
        made: Object = self.raw("POST", f"{path}?{urlencode(query)}", each)
        return made

    def token(self, namespace: str, account: str, audience: str = "", *, seconds: int = TOKEN_SECONDS) -> str:
        """A token of a service account, as the kubelet gives one to a pod.

        https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/
        """
        path = self._path("v1", "ServiceAccount", namespace, account) + "/token"
        audiences = {"audiences": [audience]} if audience else {}
        made = self.raw("POST", path, {"spec": {**audiences, "expirationSeconds": seconds}})
        token: str = made["status"]["token"]
        return token

    def version(self) -> str:
        """The server's version, such as 'v1.35.2'."""
        found: str = self.raw("GET", "/version")["gitVersion"]
        return found

    def check_ready(self) -> None:
        """Raises KubeError when the server does not answer, or is not ready."""
        self.raw("GET", "/readyz", seconds=_READY_SECONDS)

    def delete(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str = "",
        *,
        propagation: str = "Background",
        grace_seconds: int | None = None,
    ) -> bool:
        """Delete an object; False if it did not exist. It may live until its finalizers are done.

        `grace_seconds` replaces the termination grace period of a pod.
        """
        path = self._path(api_version, kind, namespace, name, missing="")
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if grace_seconds is not None:
            options = {**options, "gracePeriodSeconds": grace_seconds}
        try:
            if path:
                self.raw("DELETE", path, options)
        except KubeError as error:
            if error.status != 404:
                raise
            return False
        return bool(path)

    def logs(
        self, namespace: str, pod: str, *, container: str = "", tail: int = 0, previous: bool = False
    ) -> str:
        """Read a container's log, or that before its restart (`previous`). `tail` in lines, 0: all."""
        return self.text(_log_path(namespace, pod, container, tail, previous=previous))

    def metrics(self) -> str:
        """The metrics of the API server itself, in the text format of Prometheus."""
        return self.text("/metrics")

    def follow_logs(self, namespace: str, pod: str, *, container: str = "", tail: int = 0) -> Iterator[str]:
        """Yield lines of a log as they are written, until the container ends or the caller stops."""
        return self.lines(_log_path(namespace, pod, container, tail, follow="true"))

    def served(self, group: str) -> dict[str, Served]:
        """The namespaced kinds of an API group ('': the core) by plural; none if the group is not served."""
        return self._resources.served(group)

    def events(self, namespace: str, *, about: str = "") -> Objects:
        """List events of a namespace, or about one object's name, the oldest first."""
        fields = f"involvedObject.name={about}" if about else ""
        return sorted(self.list("v1", "Event", namespace, fields=fields), key=_when)

    def _path(
        self, api_version: str, kind: str, namespace: str, name: str = "", *, missing: str | None = None
    ) -> str:
        """The path of a kind's objects; of a kind that is not served a KubeError 404, or `missing`."""
        resource = self._resources.find(api_version, kind)
        if resource is None:
            if missing is not None:
                return missing
            raise KubeError(
                f"the API server knows no {kind} of {api_version}",
                status=404,
                why="no such kind is served",
                hint="install the component that defines it first",
                command=self.kubectl("api-resources"),
            )
        place = f"/namespaces/{quote(namespace)}" if namespace and resource.namespaced else ""
        return f"{root(api_version)}{place}/{resource.plural}" + (f"/{quote(name)}" if name else "")

    def _object_path(self, each: Mapping[str, Any]) -> str:
        meta = each["metadata"]
        return self._path(each["apiVersion"], each["kind"], meta.get("namespace", ""), meta["name"])

    def _get(self, path: str) -> Any:
        try:
            return self.raw("GET", path)
        except KubeError as error:
            if error.status == 404:
                return None
            raise

    def _pages(self, path: str, accept: str, labels: str, fields: str) -> Objects:
        query = {"limit": str(_PAGE), "labelSelector": labels, "fieldSelector": fields}
        items: Objects = []
        while True:
            page = self.raw(
                "GET", f"{path}?{urlencode({k: v for k, v in query.items() if v})}", accept=accept
            )
            items += page["items"] or []
            query["continue"] = page["metadata"].get("continue", "")
            if not query["continue"]:
                return items

    def _wait_served(self, definition: Mapping[str, Any]) -> None:
        def ask(path: str) -> None:
            self.raw("GET", path, accept=_METADATA)

        command = self.kubectl("describe", "crd", definition["metadata"]["name"])
        wait_served(definition, self._resources, ask, command)


def _connection(
    kubeconfig: Path, context: str, token: Callable[[], str] | None, scratch: Path | None
) -> Requests:
    # Loads the package kubernetes, which notebooks have in another version: imported at use.
    from mlops_platform.adapters.kube.connection import Connection

    return Connection(kubeconfig, context, token, scratch)


def _log_path(namespace: str, pod: str, container: str, tail: int, **more: str | bool) -> str:
    query = {"container": container, "tailLines": tail, **more}
    text = urlencode({k: str(v).lower() if isinstance(v, bool) else v for k, v in query.items() if v})
    return f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}/log" + (f"?{text}" if text else "")


def _when(event: Object) -> str:
    """The time of the last occurrence; newer reporters set only the series' time or the event's own."""
    series = event.get("series") or {}
    made = event["metadata"]["creationTimestamp"]
    seen = event.get("lastTimestamp") or series.get("lastObservedTime") or event.get("eventTime") or made
    return str(seen)
