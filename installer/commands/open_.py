"""Owns `open`: a port of this machine leads to a component until Ctrl-C."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.console import Console
from installer.errors import Exit, Interrupted, UsageError

if TYPE_CHECKING:
    from installer.component import Component, Served


def run(console: Console, component: str, *, port: int) -> int:
    from installer.adapters.kube.forward import forward
    from installer.adapters.kube.readiness import selectors
    from installer.adapters.wait import Pending, wait_until
    from installer.cancel import Cancel
    from installer.commands.smoke import refuse_unknown
    from installer.interrupts import cancelling
    from installer.reach import reach, read_only
    from installer.session import open_environment

    opened = open_environment(console.environment)
    name = console.environment = opened.environment.name
    refuse_unknown((component,), tuple(opened.environment.components), name)
    chosen = opened.catalog[component]
    served = _door(chosen)
    work = read_only(opened)
    reach(work)
    kube = work.bench.kube
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


def _door(component: Component) -> Served:
    """The port a person opens; of a component without one, its first."""
    ports = list(component.serves.values())
    if not ports:
        raise UsageError(f"{component.name} serves no port")
    return next((s for s in ports if s.ui), ports[0])


def _text(component: str, url: str, served: Served) -> str:
    login = f"  log in: {served.login}\n" if served.login else ""
    return f"{component}: {url}\n{login}  until Ctrl-C"
