"""A topology of network namespaces: a router with the rules under test, and endpoints around it.

Its network is like the node's: a veth pair and a /32 route for every endpoint, no bridge.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlops_platform.adapters import process

PROGRAM = Path(__file__).with_name("endpoint.py")
GATEWAY = "169.254.1.1"
Attempt = tuple[str, str, str, int]  # from, to, protocol, port


@dataclass(frozen=True)
class Endpoint:
    """One network namespace and the program in it."""

    address: str
    program: subprocess.Popen[str]

    def run(self, *argv: str, stdin: str | None = None, ok: Sequence[int] = (0,)) -> str:
        inside = ["nsenter", "-t", str(self.program.pid), "-n", "--", *argv]
        return process.run(inside, stdin=stdin, ok=ok, seconds=60).stdout

    def ask(self, question: Mapping[str, object]) -> None:
        assert self.program.stdin
        self.program.stdin.write(json.dumps(question) + "\n")
        self.program.stdin.flush()

    def answer(self) -> list[str]:
        assert self.program.stdout
        answer: list[str] = json.loads(self.program.stdout.readline())
        return answer


@dataclass(frozen=True)
class Topology:
    """The router, and the endpoints by name."""

    router: Endpoint
    endpoints: Mapping[str, Endpoint]

    def load(self, rules: str) -> None:
        self.router.run("nft", "-f", "-", stdin=rules)

    def dropped(self, comment: str) -> int:
        """Return the packets that matched the rule with this comment since the rules were loaded."""
        (line,) = [line for line in self.router.run("nft", "list", "ruleset").splitlines() if comment in line]
        return int(line.split("packets ")[1].split()[0])

    def opened(self, attempts: Iterable[Attempt], expected: set[Attempt]) -> set[Attempt]:
        """Make all attempts at once; return those that reached their target."""
        by_sender: dict[str, list[Attempt]] = {}
        for attempt in attempts:
            by_sender.setdefault(attempt[0], []).append(attempt)
        for name, mine in by_sender.items():
            tries = [[protocol, self._of(to).address, str(port)] for _, to, protocol, port in mine]
            wanted = [n for n, attempt in enumerate(mine) if attempt in expected]
            self._of(name).ask({"tries": tries, "expected": wanted})
        found: set[Attempt] = set()
        for name, mine in by_sender.items():
            results = self._of(name).answer()
            found |= {attempt for attempt, said in zip(mine, results, strict=True) if said == "open"}
        return found

    def _of(self, name: str) -> Endpoint:
        return self.router if name == "node" else self.endpoints[name]


@contextmanager
def running_topology(node: str, addresses: Mapping[str, str]) -> Iterator[Topology]:
    """Run a topology. `addresses`: of the endpoints by name."""
    with ExitStack() as stack:
        router = _endpoint(stack, node)
        router.run("sh", "-c", "cd /proc/sys/net/ipv4; echo 1 >ip_forward; echo 0 >conf/default/rp_filter")
        router.run("ip", "-batch", "-", stdin=f"link set lo up\naddr add {node}/32 dev lo\n")
        endpoints = {}
        for number, (name, address) in enumerate(addresses.items()):
            endpoints[name] = endpoint = _endpoint(stack, address)
            link = f"veth{number}"
            router.run(
                *("ip", "-batch", "-"),
                stdin=f"link add {link} type veth peer name eth0 netns {endpoint.program.pid}\n"
                f"addr add {GATEWAY}/32 dev {link}\nlink set {link} up\n"
                f"route add {address} dev {link} src {node}\n",
            )
            endpoint.run(
                *("ip", "-batch", "-"),
                stdin=f"link set lo up\naddr add {address}/32 dev eth0\nlink set eth0 up\n"
                f"route add {GATEWAY} dev eth0\nroute add default via {GATEWAY}\n",
            )
        yield Topology(router, endpoints)


def _endpoint(stack: ExitStack, address: str) -> Endpoint:
    program = subprocess.Popen(
        ["unshare", "--net", "--", sys.executable, "-ISs", str(PROGRAM)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    stack.callback(program.wait, 30)
    assert program.stdin and program.stdout
    stack.callback(program.stdout.close)
    stack.callback(program.stdin.close)
    assert program.stdout.readline() == "ready\n"
    return Endpoint(address, program)
