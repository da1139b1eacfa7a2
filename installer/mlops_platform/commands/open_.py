"""`open`: forward a local port to a component, or to the gateway in front of it, until Ctrl-C."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_platform.base.errors import Exit, Interrupted, UsageError
from mlops_platform.console import Console

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_platform.base.cancel import Cancel
    from mlops_platform.catalogue.component import Component
    from mlops_platform.catalogue.served import Served
    from mlops_platform.run.context import Context

_LOCAL, _SECONDS = "127.0.0.1", 5


def run(console: Console, name: str, *, port: int, address_only: bool = False) -> int:
    from mlops_platform.commands.smoke import require_known
    from mlops_platform.environment.issuer import origin
    from mlops_platform.run.connect import reach, read_only
    from mlops_platform.run.open import open_environment

    opened = open_environment(console.environment)
    environment = opened.environment
    console.environment = environment.name
    context = read_only(opened)
    name = name or _home(context)
    require_known((name,), tuple(environment.installed), environment.name)
    exposed = _ui_behind_gateway(context, name)
    if address_only:
        if not exposed:
            raise UsageError(
                f"{name} is no exposed UI",
                why="no ingress leads to it in this environment",
                hint="remove --print: `open` then forwards a local port",
            )
        url = origin(environment, *exposed)
        return console.done({"url": url, "login": exposed[1].login}, url)
    reach(context)
    if exposed:
        return _through_gateway(console, context, *exposed, port=port)
    return _directly(console, context, opened.catalog[name], port=port)


def _home(context: Context) -> str:
    """The name of the home page. Raises UsageError if the environment has none."""
    from mlops_platform.environment.uis import home

    found = home(context.environment, context.catalog)
    if not found:
        raise UsageError(
            f"{context.environment.name} has no home page",
            why="no component is named, and no chosen component is the home page",
            hint=f"name one of: {', '.join(sorted(context.environment.installed))}",
        )
    return found[0].name


def _directly(console: Console, context: Context, component: Component, *, port: int) -> int:
    """Forward to a component that no gateway exposes."""
    from mlops_platform.adapters.kube.forward import forward, free
    from mlops_platform.adapters.kube.readiness import selectors
    from mlops_platform.base.cancel import Cancel
    from mlops_platform.base.signals import cancelling

    served = _main_port(component)
    environment, kube = context.environment, context.clients.kube
    # The addresses of all UIs, and that of the issuer, have this port.
    wanted = port or (environment.port if component.ingress else 0)
    if not port and wanted and not free(wanted):
        console.say(_taken(environment.port))
        wanted = 0
    if kube.get("v1", "Service", component.name, component.namespace):
        selector, number = f"service/{component.name}", served.port
    else:
        selector = next(iter(selectors(kube, component.namespace, component.name)), "")
        number = served.container
    cancel = Cancel()
    with (
        cancelling(cancel),
        forward(kube, component.namespace, selector, number, wanted, note=console.say) as address,
    ):
        url = f"http://{address}" if served.scheme == "http" else str(address)
        console.done({"url": url, "login": served.login}, _text(component.name, url, served))
        return _until(cancel)


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
    from mlops_platform.adapters.kube.forward import forward, free
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
    authority = authority_file(context)
    data = {
        "url": origin(environment, component, served),
        "login": served.login,
        "sign_out": sign_out(environment),
        "authority": str(authority),
    }

    def text() -> str:
        lines = f"{component.name}: {data['url']}\n  log in:  {served.login}\n  log out: {data['sign_out']}\n"
        return f"{lines}  trust:   mlops-platform trust --env {environment.name}"

    if not environment.domain.endswith("localhost"):
        return console.done(data, text())
    wanted = environment.port
    if not port and not free(wanted):
        if answers(wanted, environment.domain, authority):
            return console.done(data, f"{text()}\n  another `open` forwards port {wanted} already")
        wanted = 0
    ingress, endpoint = found
    where, kube = f"service/{ingress.name}", context.clients.kube
    cancel = Cancel()
    with (
        cancelling(cancel),
        forward(kube, ingress.namespace, where, endpoint.port, wanted, note=console.say) as address,
    ):
        if not wanted:
            console.say(_taken(environment.port))
            data["url"] = at_port(data["url"], environment.port, address.port)
        console.done(data, text() + "\n  until Ctrl-C, and every other UI with it")
        return _until(cancel)


def answers(port: int, domain: str, authority: Path) -> bool:
    """Tell whether the gateway of this environment is at a local port, by its certificate."""
    import socket  # with ssl 20 ms, which only a taken port costs
    import ssl

    context = ssl.create_default_context(cafile=str(authority))
    try:
        with (
            socket.create_connection((_LOCAL, port), timeout=_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=domain),
        ):
            return True
    except OSError:  # also ssl.SSLError
        return False


def at_port(url: str, old: int, new: int) -> str:
    """The address with another port; that of HTTPS is left out in `url`."""
    return f"{url.removesuffix(f':{old}')}:{new}"


def _taken(port: int) -> str:
    return (
        f"port {port} of this machine is taken by another program: another port is forwarded.\n"
        f"Programs with a token can use it. Browsers cannot sign in: the login page is at port {port}. End\n"
        f"that program (`ss --listening --tcp --processes sport = :{port}`), or change `port` in the\n"
        "environment file and run up."
    )


def _until(cancel: Cancel) -> int:
    from mlops_platform.adapters.wait import Pending, wait_until

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
