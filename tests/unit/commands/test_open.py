"""`open`: a port that is taken, addresses, and the home page."""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mlops_platform.adapters.kube.forward import free
from mlops_platform.base import certificates
from mlops_platform.cli import main
from mlops_platform.commands.open_ import answers, at_port


@contextmanager
def taken() -> Iterator[socket.socket]:
    """A listener on a port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@contextmanager
def gateway(folder: Path, domain: str) -> Iterator[tuple[int, Path]]:
    """A server with a certificate for a domain; its port and the file of its authority."""
    signer = certificates.authority("test")
    made = certificates.certificate(signer, domain)
    for name in ("tls.crt", "tls.key", "ca.crt"):
        (folder / name).write_text(made[name])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")

    def serve() -> None:
        try:
            client, _ = listener.accept()
            with client, context.wrap_socket(client, server_side=True):
                pass
        except OSError:
            return

    with taken() as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], folder / "ca.crt"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_port_with_a_listener_is_not_free_and_is_after_its_end() -> None:
    with taken() as listener:
        port = listener.getsockname()[1]
        assert not free(port)
    assert free(port)


def test_gateway_of_this_environment_is_known_by_its_certificate(tmp_path: Path) -> None:
    with gateway(tmp_path, "mlops.localhost") as (port, authority):
        assert answers(port, "mlops.localhost", authority)


@pytest.mark.parametrize("domain", ["other.localhost", "mlops.localhost"])
def test_gateway_of_another_environment_is_another_program(tmp_path: Path, domain: str) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    mine.mkdir()
    other.mkdir()
    with gateway(mine, "mlops.localhost") as (_, authority), gateway(other, domain) as (port, _):
        assert not answers(port, "mlops.localhost", authority)


def test_program_that_closes_the_connection_is_another_program(tmp_path: Path) -> None:
    with gateway(tmp_path, "mlops.localhost") as (_, authority), taken() as listener:
        port = listener.getsockname()[1]
        threading.Thread(target=lambda: listener.accept()[0].close()).start()
        assert not answers(port, "mlops.localhost", authority)


def test_address_at_another_port_also_without_a_port_before() -> None:
    assert at_port("https://mlops.localhost:8443", 8443, 40000) == "https://mlops.localhost:40000"
    assert at_port("https://mlops.localhost", 443, 40000) == "https://mlops.localhost:40000"


ENVIRONMENT = """\
name: {name}
summary: made by a test
domain: mlops.localhost
port: 8443
cluster: {{provider: host}}
components: {{{components}}}
"""
BEHIND = "vault: {}, oauth2-proxy: {}, gateway: {}"


def run(
    folder: Path, capsys: pytest.CaptureFixture[str], components: str, *args: str
) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `open` in an environment with these components."""
    (folder / "mine.yaml").write_text(ENVIRONMENT.format(name="mine", components=components))
    with pytest.MonkeyPatch.context() as patched, pytest.raises(SystemExit) as ended:
        patched.setattr(sys, "argv", ["mlops-platform", "open", *args, "--env", str(folder / "mine.yaml")])
        main()
    said = capsys.readouterr()
    code = ended.value.code
    return (code if isinstance(code, int) else 0), said.out, said.err


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_PLATFORM_HOME", str(tmp_path / "home"))


def test_print_gives_the_address_of_the_home_page_without_a_cluster(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    components = f"{BEHIND}, home: {{}}"
    assert run(tmp_path, capsys, components, "--print")[:2] == (0, "https://mlops.localhost:8443\n")
    _, out, _ = run(tmp_path, capsys, components, "home", "--print", "--output", "json")
    assert json.loads(out)["data"]["url"] == "https://mlops.localhost:8443"


def test_open_without_a_name_and_without_a_home_page_lists_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(tmp_path, capsys, BEHIND)
    assert code == 2 and "mine has no home page" in err and "gateway, oauth2-proxy, vault" in err


def test_print_of_a_component_without_a_gateway_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(tmp_path, capsys, "postgres: {}", "postgres", "--print")
    assert code == 2 and "postgres is no exposed UI" in err
