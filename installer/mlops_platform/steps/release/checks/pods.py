"""Check of pods: the pod-security level of their namespace, and images that are ours or pinned.

The API server would refuse the pods only, and Helm would wait for them until its timeout.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlops_platform.adapters.helm.rendered import pod_template
from mlops_platform.steps.release.checks.findings import Bounds, Finding, Object, title

_LISTS = ("initContainers", "containers", "ephemeralContainers")
# https://kubernetes.io/docs/concepts/security/pod-security-standards/
_BASELINE_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD",
        "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
    }
)  # fmt: skip
_VOLUMES = frozenset(
    {
        "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image",
        "persistentVolumeClaim", "projected", "secret",
    }
)  # fmt: skip
_PROFILES = frozenset({"RuntimeDefault", "Localhost"})


def findings(objects: Sequence[Object], bounds: Bounds) -> Iterator[Finding]:
    for each in objects:
        template = pod_template(each)
        if not template:
            continue
        pod = template["spec"]
        level = ("podSecurity",) if bounds.component.pod_security else bounds.source
        wrong = [f"pod: {', '.join(found)}"] if (found := list(_pod(pod, bounds.level))) else []
        for container in _containers(pod):
            if found := list(_container(container, pod, bounds.level)):
                wrong.append(f"container {container['name']}: {', '.join(found)}")
            yield from _image(each, container, bounds)
        if wrong:
            what = f"{title(each)} does not meet {bounds.level}: {'; '.join(wrong)}"
            yield Finding(level, what, f"set it in {bounds.settings}, or omit the container")


def _containers(pod: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for key in _LISTS:
        yield from pod.get(key) or []


def _pod(pod: Mapping[str, Any], level: str) -> Iterator[str]:
    if level == "privileged":
        return
    yield from (f"{key} true" for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key))
    sysctls = (pod.get("securityContext") or {}).get("sysctls")
    if sysctls:
        yield "sysctls"
    for volume in pod.get("volumes") or []:
        kinds = set(volume) - {"name"}
        if "hostPath" in kinds or (level == "restricted" and not kinds <= _VOLUMES):
            yield f"volume {volume['name']} of type {', '.join(sorted(kinds))}"


def _container(container: Mapping[str, Any], pod: Mapping[str, Any], level: str) -> Iterator[str]:
    """What a container has too much or too little; a container's own setting goes before the pod's."""
    own, shared = container.get("securityContext") or {}, pod.get("securityContext") or {}
    capabilities = own.get("capabilities") or {}
    profile = ((own.get("seccompProfile") or shared.get("seccompProfile")) or {}).get("type")
    if level == "privileged":
        return
    if own.get("privileged"):
        yield "privileged true"
    if any(port.get("hostPort") for port in container.get("ports") or []):
        yield "a hostPort"
    if own.get("procMount", "Default") != "Default":
        yield f"procMount {own['procMount']}"
    if profile == "Unconfined":
        yield "seccompProfile Unconfined"
    allowed = {"NET_BIND_SERVICE"} if level == "restricted" else _BASELINE_CAPABILITIES
    if more := set(capabilities.get("add") or ()) - allowed:
        yield f"capabilities {', '.join(sorted(more))}"
    if level == "restricted":
        yield from _restricted(own, shared, capabilities, profile)


def _restricted(
    own: Mapping[str, Any], shared: Mapping[str, Any], capabilities: Mapping[str, Any], profile: str | None
) -> Iterator[str]:
    if own.get("runAsNonRoot", shared.get("runAsNonRoot")) is not True:
        yield "no runAsNonRoot: true"
    if own.get("runAsUser", shared.get("runAsUser")) == 0:
        yield "runAsUser 0"
    if profile is None:
        yield "no seccompProfile"
    elif profile not in {*_PROFILES, "Unconfined"}:  # that one is below baseline too
        yield f"seccompProfile {profile}"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "no allowPrivilegeEscalation: false"
    if "ALL" not in (capabilities.get("drop") or ()):
        yield "no capabilities.drop: [ALL]"


def _image(each: Object, container: Mapping[str, Any], bounds: Bounds) -> Iterator[Finding]:
    image = container.get("image", "")
    if image in bounds.images or "@sha256:" in image:
        return
    what = f"{title(each)}: container {container['name']}: image {image or '(none)'} has no digest"
    if not bounds.component.module:
        yield Finding(bounds.source, what, "choose a tree that pins it")
    else:
        hint = "use ${image_…} of module.images in values.yaml, or omit the container"
        yield Finding(("module", "images"), what, hint)
