"""Websocket frames, byte by byte. The whole way through a node is in tests/integration/kube."""

from __future__ import annotations

import struct

import pytest

from installer.adapters.kube.tunnel import Frames, frame

BINARY, CLOSE, PING = 0x2, 0x8, 0x9


def from_server(kind: int, payload: bytes, *, final: bool = True) -> bytes:
    """As a server sends it: not masked."""
    first, length = (0x80 if final else 0) | kind, len(payload)
    if length < 126:
        return struct.pack("!BB", first, length) + payload
    if length < 1 << 16:
        return struct.pack("!BBH", first, 126, length) + payload
    return struct.pack("!BBQ", first, 127, length) + payload


def unmasked(data: bytes) -> tuple[int, bytes]:
    """As a server reads what we send (RFC 6455, 5.3), by the letter."""
    assert data[0] & 0x80
    assert data[1] & 0x80, "a client's frame must be masked"
    length, start = data[1] & 0x7F, 2
    if length == 126:
        (length,), start = struct.unpack("!H", data[2:4]), 4
    elif length == 127:
        (length,), start = struct.unpack("!Q", data[2:10]), 10
    mask, payload = data[start : start + 4], data[start + 4 :]
    assert len(payload) == length
    return data[0] & 0x0F, bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 125, 126, 127, 65535, 65536, 70001])
def test_what_is_sent_can_be_read(size: int) -> None:
    payload = bytes(index * 7 & 0xFF for index in range(size))
    assert unmasked(frame(BINARY, payload)) == (BINARY, payload)


def test_no_two_frames_have_the_same_mask() -> None:
    assert len({frame(BINARY, b"same")[2:6] for _ in range(50)}) == 50


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
@pytest.mark.parametrize("step", [1, 1000, 10**9])
def test_what_comes_in_pieces_is_put_together(size: int, step: int) -> None:
    payload = bytes(index * 5 & 0xFF for index in range(size))
    stream = from_server(BINARY, payload) + from_server(BINARY, b"next")
    frames, seen = Frames(), []
    for start in range(0, len(stream), step):
        seen += list(frames.feed(stream[start : start + step]))
    assert seen == [(BINARY, payload), (BINARY, b"next")]


def test_a_message_in_several_frames_is_one_and_a_ping_may_come_between() -> None:
    stream = b"".join(
        (
            from_server(BINARY, b"one ", final=False),
            from_server(PING, b"there?"),
            from_server(0x0, b"two ", final=False),
            from_server(0x0, b"three"),
            from_server(CLOSE, b""),
        )
    )
    assert list(Frames().feed(stream)) == [(PING, b"there?"), (BINARY, b"one two three"), (CLOSE, b"")]
