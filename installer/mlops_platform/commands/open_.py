"""`open`: forward a local port to a component, or to the gateway in front of it, until Ctrl-C."""

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
    require_known((component,), tuple(opened.environment.installed), name)
    context = read_only(opened)
    reach(context)
    exposed = _ui_behind_gateway(context, component)
    if exposed:
        return _through_gateway(console, context, *exposed, port=port)
    chosen = opened.catalog[component]
    served = _main_port(chosen)
    # The addresses of all UIs, and that of the issuer, have this port.
    port = port or (opened.environment.port if chosen.ingress else 0)
    kube = context.clients.kube
    if kube.get("v1", "Service", component, chosen.namespace):
        selector = f"service/{component}"
    else:
        selector = next(iter(selectors(kube, chosen.namespace, component)), "")
    cancel = Cancel()
    number = served.port if selector.startswith("service/") else served.container
    with (
        cancelling(cancel),
        forward(kube, chosen.namespace, selector, number, port, note=console.say) as address,
    ):
        url = f"http://{address}" if served.scheme == "http" else str(address)
        console.done({"url": url, "login": served.login}, _text(component, url, served))
        try:
            wait_until("Ctrl-C", lambda: Pending("open"), seconds=float("inf"), cancel=cancel)
        except Interrupted:  # the normal end of `open`
            return Exit.DONE
    return Exit.DONE


def _ui_behind_gateway(context: Context, component: str) -> tuple[Component, Served] | None:
    """The UI of a component that is exposed by a gateway."""
    from mlops_platform.environment.uis import exposed_uis, gateway

    opened = (
        (c, s)
        for c, s in exposed_uis(context.environment, context.catalog)
        if c.name == component and not s.public
    )
    return next(opened, None) if gateway(context.environment, context.catalog) else None


def _through_gateway(
    console: Console, context: Context, component: Component, served: Served, *, port: int
) -> int:
    """Forward to the gateway: it serves all UIs, at names below localhost."""
    from mlops_platform.adapters.kube.forward import forward
    from mlops_platform.adapters.wait import Pending, wait_until
    from mlops_platform.base.cancel import Cancel
    from mlops_platform.base.signals import cancelling
    from mlops_platform.environment.issuer import origin
    from mlops_platform.environment.uis import gateway, sign_out
    from mlops_platform.steps.access.certificate import authority_file

    environment, found = context.environment, gateway(context.environment, context.catalog)
    assert found
    if port not in (0, environment.port):
        raise UsageError(
            f"{component.name} needs local port {environment.port}",
            why="the UIs redirect browsers to addresses with this port",
            hint="remove --port, or change `port` in the environment",
        )
    data = {
        "url": origin(environment, component, served),
        "login": served.login,
        "sign_out": sign_out(environment),
        "authority": str(authority_file(context)),
    }
    text = f"{component.name}: {data['url']}\n  log in:  {served.login}\n  log out: {data['sign_out']}\n"
    text += f"  trust:   mlops-platform trust --env {environment.name}"
    if not environment.domain.endswith("localhost"):
        return console.done(data, text)
    ingress, endpoint = found
    cancel, where = Cancel(), f"service/{ingress.name}"
    with (
        cancelling(cancel),
        forward(
            context.clients.kube, ingress.namespace, where, endpoint.port, environment.port, note=console.say
        ),
    ):
        console.done(data, text + "\n  until Ctrl-C, and every other UI with it")
        try:
            wait_until("Ctrl-C", lambda: Pending("open"), seconds=float("inf"), cancel=cancel)
        except Interrupted:  # the normal end of `open`
            return Exit.DONE
    return Exit.DONE


def _main_port(component: Component) -> Served:
    """The port of a component's UI; if it has no UI, its first port."""
    ports = list(component.serves.values())
    if not ports:
        raise UsageError(f"{component.name} serves no port")
    return next((s for s in ports if s.ui), ports[0])


def _text(component: str, url: str, served: Served) -> str:
    login = f"  log in: {served.login}\n" if served.login else ""
    return f"{component}: {url}\n{login}  until Ctrl-C"
