"""The node's volume provisioner: a folder for every claim, removed when its volume is released.

Runs on the node as its own process: `python -m mlops_platform.clusters.host.volumes --config FILE`.
"""

from __future__ import annotations

import argparse
import logging
import queue
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlops_platform.base.cancel import Cancel
from mlops_platform.clusters.host.api import Api, Unreachable
from mlops_platform.clusters.host.layout import INSIDE, INSIDE_VOLUMES, Node

PROVISIONER = "host.mlops-platform.io/folder"
_PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
_SELECTED_NODE = "volume.kubernetes.io/selected-node"
_CLAIMS = "/api/v1/persistentvolumeclaims"
_VOLUMES = "/api/v1/persistentvolumes"
_CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
_RETRY_SECONDS = 1.0

Object = dict[str, Any]
log = logging.getLogger("volumes")


class Volumes:
    """Creation and removal of volumes. Both can be repeated: events come twice, and again after a kill."""

    def __init__(self, api: Api, node: str, root: Path) -> None:
        self._api = api
        self._node = node
        self._root = root

    def provision(self, claim: Object) -> None:
        """Make a folder and a PersistentVolume for a claim whose pod was scheduled to this node."""
        meta, spec = claim["metadata"], claim["spec"]
        if spec.get("volumeName") or meta.get("deletionTimestamp"):
            return
        if meta.get("annotations", {}).get(_SELECTED_NODE) != self._node:
            return
        found = self._api.get(f"{_CLASSES}/{spec.get('storageClassName', '')}")
        if not found or found.get("provisioner") != PROVISIONER:
            return
        name = f"pvc-{meta['uid']}"
        folder = self._root / name
        folder.mkdir(exist_ok=True)
        folder.chmod(0o770)  # kubelet sets the group to the pod's fsGroup
        volume = _volume(name, folder, claim, found, self._node)
        status, answer = self._api.request("POST", _VOLUMES, volume)
        if status not in (201, 409):
            raise Unreachable(f"{name}: {status} {answer.get('message', '')}")
        log.info("%s for %s/%s", name, meta["namespace"], meta["name"])

    def reclaim(self, volume: Object) -> None:
        """Remove the folder of a released volume, then the volume. Another path is left alone."""
        meta, spec = volume["metadata"], volume["spec"]
        ours = meta.get("annotations", {}).get(_PROVISIONED_BY) == PROVISIONER
        released = volume.get("status", {}).get("phase") == "Released"
        if not ours or not released or spec.get("persistentVolumeReclaimPolicy") != "Delete":
            return
        folder = self._root / meta["name"]
        given = Path(spec.get("local", {}).get("path", ""))
        # A user who may write volumes could name any path: only our own counts, and not through a link.
        if given != folder or folder.is_symlink() or folder.resolve() != self._root.resolve() / meta["name"]:
            log.error("%s: %s is not a folder of ours, left alone", meta["name"], given)
            return
        if folder.exists():
            shutil.rmtree(folder)
        status, answer = self._api.request("DELETE", f"{_VOLUMES}/{meta['name']}")
        if status not in (200, 202, 404):
            raise Unreachable(f"{meta['name']}: {status} {answer.get('message', '')}")
        log.info("%s removed", meta["name"])

    def follow(self, path: str, act: Callable[[Object], None], stop: Cancel) -> None:
        """List, then watch, forever; a fault is logged, and the next list tries again."""
        while True:
            try:
                if self._round(path, act):
                    continue
            except Unreachable as error:
                log.warning("%s: %s", path, error.why)
            stop.pause(_RETRY_SECONDS)

    def _round(self, path: str, act: Callable[[Object], None]) -> bool:
        """Run one list and its watch. False: something failed, so list again after a pause."""
        listed = self._api.get(path)
        if listed is None:
            return False
        # Serve the whole list: one claim that fails must not delay the others.
        served = [self._one(act, each) for each in listed["items"]]
        if not all(served):
            return False
        for event in self._api.watch(path, listed["metadata"]["resourceVersion"]):
            if event["type"] == "ERROR":  # the version is too old
                return True
            if event["type"] in ("ADDED", "MODIFIED") and not self._one(act, event["object"]):
                return False
        return True

    @staticmethod
    def _one(act: Callable[[Object], None], each: Object) -> bool:
        try:
            act(each)
        except (Unreachable, OSError) as error:
            why = error.why if isinstance(error, Unreachable) else str(error)
            log.warning("%s: %s", each["metadata"]["name"], why)
            return False
        return True


def _volume(name: str, folder: Path, claim: Object, storage_class: Object, node: str) -> Object:
    meta, spec = claim["metadata"], claim["spec"]
    on_this_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {_PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "storageClassName": spec["storageClassName"],
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
            "volumeMode": "Filesystem",
            "local": {"path": str(folder)},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "name": meta["name"],
                "namespace": meta["namespace"],
                "uid": meta["uid"],
            },
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_this_node]}]}},
        },
    }


def main() -> str:
    """Serve until one loop ends, which only a fault causes; PID 1 then starts this process again."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    node = Node.read(parser.parse_args().config)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    volumes = Volumes(Api(node, INSIDE / "pki", "volumes", seconds=30), node.name, INSIDE_VOLUMES)
    ended: queue.SimpleQueue[str] = queue.SimpleQueue()

    def serve(path: str, act: Callable[[Object], None]) -> None:
        try:
            volumes.follow(path, act, Cancel())
        finally:
            ended.put(path)

    for path, act in ((_CLAIMS, volumes.provision), (_VOLUMES, volumes.reclaim)):
        threading.Thread(target=serve, args=(path, act), daemon=True, name=path).start()
    return f"{ended.get()}: ended"


if __name__ == "__main__":
    raise SystemExit(main())
