"""Scripts that change a secret in a running program, or check that its old value is rejected."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlops_platform.adapters.kube import Kube
from mlops_platform.base.progress import Progress
from mlops_platform.run.context import Context
from mlops_platform.run.resolved import ResolvedComponent
from mlops_platform.steps.jobs.manifest import ScriptJob
from mlops_platform.steps.jobs.run import run_job

_PROXY_CHECK = Path(__file__).with_name("proxy_check.py")


def run_script(
    context: Context,
    kube: Kube,
    resolved: ResolvedComponent,
    secret: str,
    new: Mapping[str, str],
    old: Mapping[str, str],
    act: str,
    progress: Progress,
) -> None:
    """Run the secret's script: `change` sets the value in the program, `prove` checks that the old one is
    rejected. Without a script, only the component's own pods use the value, and they have restarted."""
    component = resolved.component
    if not component.needs.secrets[secret].rotate and secret not in component.proxy_secrets:
        if act == "prove":
            progress.note(f"{resolved.secret(secret)}: used by its own pods only; they have the new value")
        return
    copies = {f"rotate-{secret}-new": ("new", new), f"rotate-{secret}-old": ("old", old)}
    mounted = {copy: folder for copy, (folder, _) in copies.items()}
    try:
        for copy, (_, values) in copies.items():
            context.cluster_secrets.write(resolved.namespace, copy, values)
        run_job(kube, _job(resolved, secret, act, mounted), progress, context.cancel)
    finally:
        for copy in copies:
            context.cluster_secrets.delete(resolved.namespace, copy)


def _job(resolved: ResolvedComponent, secret: str, act: str, mounted: Mapping[str, str]) -> ScriptJob:
    """The Job of the component's own script, or of the one for all secrets that the ingress sends."""
    component, need = resolved.component, resolved.component.needs.secrets[secret]
    env = {"HOST": f"{resolved.name}.{resolved.namespace}.svc"}
    if ui := component.proxy_secrets.get(secret):
        scripts = {_PROXY_CHECK.name: _PROXY_CHECK.read_text()}
        env |= {"PORT": str(ui.port), "CHECK": ui.proxy_check}
    else:
        beside = [p.script for p in component.provides.values() if p.script]
        scripts = {name: resolved.text(name) for name in dict.fromkeys([need.rotate, *beside])}
        env["PORT"] = str(next(iter(component.serves.values())).port)
    return ScriptJob(
        name=f"{resolved.name}-rotate-{secret}",
        namespace=resolved.namespace,
        image=resolved.reference(need.image),
        scripts=scripts,
        arguments=(act,),
        secrets=mounted,
        env=env,
        seconds=120,
    )
