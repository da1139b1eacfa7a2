"""One endpoint of the topology, alone in its network namespace: it listens, and connects on request.

Runs as `python -ISs`; ends with its standard input.
"""

import json
import os
import selectors
import socket
import time

PORTS = {"tcp": (8080, 9090, 9091), "udp": (53,)}
SECONDS = 30.0  # limit for the attempts that must succeed; all others end with the last of those
KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


class Endpoint:
    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        # A port used again within 30 s belongs to a flow that conntrack still accepts as established.
        self.sources = iter(range(20000, 32768))
        for protocol, ports in PORTS.items():
            for port in ports:
                self._listen(protocol, port)

    def _listen(self, protocol: str, port: int) -> None:
        listening = socket.socket(socket.AF_INET, KINDS[protocol])
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("0.0.0.0", port))
        listening.setblocking(False)
        if protocol == "tcp":
            listening.listen(64)
        self.selector.register(listening, selectors.EVENT_READ, ("serve", protocol))

    def serve(self, listening: socket.socket, protocol: str) -> None:
        if protocol == "tcp":
            listening.accept()[0].close()
        else:
            data, sender = listening.recvfrom(100)
            listening.sendto(data, sender)

    def attempt(self, tries: list[list[str]], expected: list[int]) -> list[str]:
        """Return 'open', 'refused', or 'silent' for each (protocol, address, port)."""
        results = ["silent"] * len(tries)
        sockets = [self._begin(n, each, results) for n, each in enumerate(tries)]
        deadline = time.monotonic() + SECONDS
        while any(results[n] == "silent" for n in expected) and time.monotonic() < deadline:
            self.turn(0.05, results)
        self.turn(0.05, results)
        for each in sockets:
            if each.fileno() in self.selector.get_map():
                self.selector.unregister(each)
            each.close()
        return results

    def _begin(self, n: int, way: list[str], results: list[str]) -> socket.socket:
        protocol, address, port = way
        trying = socket.socket(socket.AF_INET, KINDS[protocol])
        trying.setblocking(False)
        try:
            if protocol == "udp":
                trying.bind(("0.0.0.0", next(self.sources)))
            trying.connect((address, int(port)))
            if protocol == "udp":
                trying.send(b"heard?")
        except BlockingIOError:
            pass
        except OSError:
            results[n] = "refused"
            return trying
        wanted = selectors.EVENT_WRITE if protocol == "tcp" else selectors.EVENT_READ
        self.selector.register(trying, wanted, ("try", n))
        return trying

    def turn(self, seconds: float, results: list[str]) -> bool:
        """Handle ready sockets once; True: standard input has a line."""
        for key, _ in self.selector.select(seconds):
            what, which = key.data
            if what == "ask":
                return True
            assert isinstance(key.fileobj, socket.socket)
            if what == "serve":
                self.serve(key.fileobj, which)
                continue
            self.selector.unregister(key.fileobj)
            results[which] = "refused" if _error(key.fileobj) else "open"
        return False


def _error(trying: socket.socket) -> int:
    """Return the error of a socket. A UDP socket reports an ICMP error with the next call."""
    error = trying.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if not error and trying.type == socket.SOCK_DGRAM:
        try:
            trying.recv(100)
        except OSError as rejected:
            return rejected.errno or 1
    return error


def main() -> None:
    endpoint, asking = Endpoint(), os.fdopen(0, "rb", buffering=0)
    endpoint.selector.register(asking, selectors.EVENT_READ, ("ask", ""))
    print("ready", flush=True)
    while True:
        if endpoint.turn(60, []):
            line = asking.readline()
            if not line:
                return
            print(json.dumps(endpoint.attempt(**json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
