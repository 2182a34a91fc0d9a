"""A message of a gibibyte that is compressed to a mebibyte."""
import os
import re
import socket
import zlib

import examples
from peer import BINARY, CLOSE, FIN, RSV1, TEXT, frame, frames

INFLATED = 1 << 30
MAX_MESSAGE = 1 << 20
FRAME = 32 << 10
GROWTH = 4 << 20            # bound in octets for the growth of peak resident memory
LIMIT = 30                  # seconds that the server may stay silent
REQUEST = (b"GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
           b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n")


def check(binding, program):
    return "bomb, %s echo_server" % binding, lambda: throw(program)


def throw(program):
    data = compressed()
    starts = range(0, len(data), FRAME)
    wire = b"".join(frame((0 if at else RSV1 | BINARY) | (FIN if at == starts[-1] else 0), data[at:at + FRAME], True)
                    for at in starts)
    server = examples.Server(os.devnull, program, "127.0.0.1:0", "--deflate", "--max-message", str(MAX_MESSAGE))
    try:
        # The memory that the first connection needs does not count.
        exchange(server.port, frame(FIN | TEXT, b"hi", True) + frame(FIN | CLOSE, b"", True))
        before = peak(server.process.pid)
        answer = exchange(server.port, wire)
        grown = peak(server.process.pid) - before
    finally:
        server.stop()
    closes = [payload for first, payload in frames(answer, False) if first == FIN | CLOSE]
    code = int.from_bytes(closes[0][:2], "big") if closes else None
    if code != 1009:
        raise AssertionError("the answer is Close %s, %r" % (code, answer[:80]))
    if grown >= GROWTH:
        raise AssertionError("peak memory grew by %d KiB" % (grown >> 10))
    return "%d octets for %d MiB, closed with 1009, peak memory grew by %d KiB" % (
        len(data), INFLATED >> 20, grown >> 10)


def compressed():
    state = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = bytes(1 << 20)
    parts = [state.compress(zeros) for _ in range(0, INFLATED, len(zeros))]
    return b"".join(parts + [state.flush(zlib.Z_SYNC_FLUSH)])[:-4]


def exchange(port, wire):
    """Opens a connection and sends `wire`, which the server may not read to the end; returns its frames."""
    with socket.create_connection(("127.0.0.1", port), LIMIT) as stream:
        stream.sendall(REQUEST)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += stream.recv(1)
        if b"permessage-deflate" not in head:
            raise AssertionError("compression was not agreed on: %r" % head)
        try:
            stream.sendall(wire)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = b""
        while part := stream.recv(1 << 16):
            answer += part
        return answer


def peak(pid):
    """Returns the peak resident memory of the process, in octets."""
    with open("/proc/%d/status" % pid) as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1]) << 10
