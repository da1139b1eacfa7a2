"""Owns `open`: a port of this machine leads to a component, or to the gateway before it, until Ctrl-C."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_platform.base.errors import Exit, Interrupted, UsageError
from mlops_platform.console import Console

if TYPE_CHECKING:
    from mlops_platform.catalogue.component import Component, Served
    from mlops_platform.run.context import Context


def run(console: Console, component: str, *, port: int) -> int:
    from mlops_platform.adapters.kube.forward import forward
    from mlops_platform.adapters.kube.readiness import selectors
    from mlops_platform.adapters.wait import Pending, wait_until
    from mlops_platform.base.cancel import Cancel
    from mlops_platform.base.signals import cancelling
    from mlops_platform.commands.smoke import require_known
    from mlops_platform.run.connect import reach, read_only
    from mlops_platform.run.open import open_environment

    opened = open_environment(console.environment)
    name = console.environment = opened.environment.name
    require_known((component,), tuple(opened.environment.components), name)
    work = read_only(opened)
    reach(work)
    entrance = _entrance(work, component)
    if entrance:
        return _through_gateway(console, work, *entrance, port=port)
    chosen = opened.catalog[component]
    served = _door(chosen)
    kube = work.clients.kube
    if kube.get("v1", "Service", component, chosen.namespace):
        selector = f"service/{component}"
    else:
        selector = next(iter(selectors(kube, chosen.namespace, component)), "")
    cancel = Cancel()
    with (
        cancelling(cancel),
        forward(kube, chosen.namespace, selector, served.port, port, note=console.say) as address,
    ):
        url = f"http://{address}" if served.scheme == "http" else str(address)
        console.done({"url": url, "login": served.login}, _text(component, url, served))
        try:
            wait_until("Ctrl-C", lambda: Pending("open"), seconds=float("inf"), cancel=cancel)
        except Interrupted:  # that is how it is meant to end
            return Exit.DONE
    return Exit.DONE


def _entrance(work: Context, component: str) -> tuple[Component, Served] | None:
    """The UI of a component, where people come in at a gateway."""
    from mlops_platform.environment.uis import exposed_uis, gateway

    opened = (
        (c, s) for c, s in exposed_uis(work.environment, work.catalog) if c.name == component and not s.public
    )
    return next(opened, None) if gateway(work.environment, work.catalog) else None


def _through_gateway(
    console: Console, work: Context, component: Component, served: Served, *, port: int
) -> int:
    """All UIs at once: one way in leads to all of them. Names below localhost need a forward to it."""
    from mlops_platform.adapters.kube.forward import forward
    from mlops_platform.adapters.wait import Pending, wait_until
    from mlops_platform.base.cancel import Cancel
    from mlops_platform.base.signals import cancelling
    from mlops_platform.environment.issuer import origin
    from mlops_platform.environment.uis import gateway, sign_out
    from mlops_platform.steps.access.certificate import authority_file

    environment, entrance = work.environment, gateway(work.environment, work.catalog)
    assert entrance
    if port not in (0, environment.port):
        raise UsageError(
            f"{component.name} is at port {environment.port} of every address",
            why="browsers are led from one name to another by it",
            hint="leave --port out, or change `port` in the environment",
        )
    said = {
        "url": origin(environment, component, served),
        "login": served.login,
        "sign_out": sign_out(environment),
        "authority": str(authority_file(work)),
    }
    text = f"{component.name}: {said['url']}\n  log in:  {served.login}\n  log out: {said['sign_out']}\n"
    text += f"  trust:   mlops-platform trust --env {environment.name}"
    if not environment.domain.endswith("localhost"):
        return console.done(said, text)
    way, endpoint = entrance
    cancel, where = Cancel(), f"service/{way.name}"
    with (
        cancelling(cancel),
        forward(work.clients.kube, way.namespace, where, endpoint.port, environment.port, note=console.say),
    ):
        console.done(said, text + "\n  until Ctrl-C, and every other UI with it")
        try:
            wait_until("Ctrl-C", lambda: Pending("open"), seconds=float("inf"), cancel=cancel)
        except Interrupted:  # that is how it is meant to end
            return Exit.DONE
    return Exit.DONE


def _door(component: Component) -> Served:
    """The port a person opens; of a component without one, its first."""
    ports = list(component.serves.values())
    if not ports:
        raise UsageError(f"{component.name} serves no port")
    return next((s for s in ports if s.ui), ports[0])


def _text(component: str, url: str, served: Served) -> str:
    login = f"  log in: {served.login}\n" if served.login else ""
    return f"{component}: {url}\n{login}  until Ctrl-C"
