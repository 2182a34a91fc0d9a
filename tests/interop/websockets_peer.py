"""Python's `websockets` as the other end; started by `run`.

usage: websockets_peer.py client URL [CERT]              against the echo server at URL
       websockets_peer.py server PROGRAM [CERT KEY]      against the client example PROGRAM

Prints `pass NAME` or `FAIL NAME: why` for every check, and `end` after the last.
"""
import asyncio
import http
import os
import re
import ssl
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

LIMIT = 30                  # seconds a check may take before it counts as hung
MIB = 1 << 20
CLOSES = [(1000, "done"), (1001, "going away"), (3000, "registered"), (4999, "private, grüße")]
ALL_BYTES = bytes(range(256))
DEFLATE = "DEFLATE" in os.environ       # our end has --deflate
WINDOWS = [{}, {"server_no_context_takeover": True, "client_no_context_takeover": True},
           {"server_max_window_bits": 9, "client_max_window_bits": 9},
           {"server_max_window_bits": 12, "client_max_window_bits": 15, "server_no_context_takeover": True}]


def expect(what, got, wanted):
    if got != wanted:
        raise AssertionError("%s is %.80r, not %.80r" % (what, got, wanted))


async def check(name, coroutine):
    try:
        await asyncio.wait_for(coroutine, LIMIT)
        print("pass %s" % name, flush=True)
    except Exception as e:  # any error means that this check failed
        print("FAIL %s: %s: %s" % (name, type(e).__name__, e), flush=True)


# ---- client of our echo server


async def echoed(ws, message, sent=None):
    await ws.send(message if sent is None else sent)
    expect("the echo", await ws.recv(), message)


async def echoes(ws):
    await check("text", echoed(ws, "hello, Grüße, 🌍"))
    await check("empty text", echoed(ws, ""))
    await check("binary, all bytes", echoed(ws, ALL_BYTES))
    await check("text in fragments", echoed(ws, "one, zwei, 三", ["one, ", "zwei", "", ", 三"]))
    await check("binary in fragments", echoed(ws, b"abc" * 100, [b"abc"] * 100))
    await check("1 MiB of text", echoed(ws, "Bär " * (MIB // 5) + "x"))
    await check("1 MiB of binary", echoed(ws, ALL_BYTES * (MIB // 256)))
    await check("1,000 messages, in order", in_order(ws))
    await check("ping is answered", answered(ws))
    await check("a pong nobody asked for is ignored", ignored(ws))


async def in_order(ws):
    sending = asyncio.ensure_future(send_numbers(ws))
    expect("the echoes", [await ws.recv() for _ in range(1000)], [str(n) for n in range(1000)])
    await sending


async def send_numbers(ws):
    for n in range(1000):
        await ws.send(str(n))


async def answered(ws):
    for payload in (b"", b"x", b"\x00" * 125):
        await (await ws.ping(payload))


async def ignored(ws):
    await ws.pong(b"unasked")
    await echoed(ws, "still here")


async def closed_by_us(url, options, code, reason):
    async with connect(url, **options) as ws:
        await echoed(ws, "before the close")
        await ws.close(code, reason)
        received = ws.protocol.close_rcvd
        expect("the answer to the close", received and received.code, code)


def expect_compression(ws):
    expect("what was agreed on", [extension.name for extension in ws.protocol.extensions], ["permessage-deflate"])


async def compressed(url, window):
    async with connect(url, compression=None, extensions=[ClientPerMessageDeflateFactory(**window)]) as ws:
        expect_compression(ws)
        for n in range(200):
            await echoed(ws, "one message is much like the next, %d of them " % n * (n % 50))
        await echoed(ws, ALL_BYTES * (MIB // 256))


async def client(url, cert):
    options = {"ssl": ssl.create_default_context(cafile=cert)} if cert else {}
    async with connect(url, **options) as ws:
        if DEFLATE:
            expect_compression(ws)
        await echoes(ws)
    for window in WINDOWS if DEFLATE else []:
        await check("compression, %s" % window, compressed(url, window))
    for code, reason in CLOSES:
        await check("close %d by the peer" % code, closed_by_us(url, options, code, reason))


# ---- server of our client


class Seen:
    """The server's record of one connection."""

    def __init__(self):
        self.ws = None
        self.texts = []
        self.error = None
        self.over = asyncio.Event()


class Ours:
    """The client example, connected to a server that runs `behave` with the connection."""

    def __init__(self, program, tls):
        self.program = program
        self.tls = tls

    async def run(self, behave, lines=(), options=(), insecure=True, **server_options):
        """Returns the server's record, the client's output and its exit status.

        The client's input ends once the client has printed as many lines as it was given. (It could end at
        once, but websockets drops an answer that its handler has not yet sent when the Close arrives.)
        Without lines the input stays open, and the server must end the connection.
        """
        seen = Seen()

        async def handler(ws):
            seen.ws = ws
            try:
                if DEFLATE:
                    expect_compression(ws)
                await behave(ws, seen)
                await ws.wait_closed()
            except ConnectionClosed:
                pass
            except Exception as e:
                seen.error = e
            finally:
                seen.over.set()

        context = None
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
        async with serve(handler, "127.0.0.1", 0, ssl=context, **server_options) as server:
            port = server.sockets[0].getsockname()[1]
            url = "%s://127.0.0.1:%d/path?query=1" % ("wss" if self.tls else "ws", port)
            command = [self.program, url, *options] + (["--insecure"] if self.tls and insecure else [])
            command += ["--deflate"] if DEFLATE else []
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, limit=4 * MIB)
            try:
                process.stdin.write("".join(line + "\n" for line in lines).encode())
                output = b""
                if lines:
                    output = b"".join([await process.stdout.readline() for _ in lines])
                    process.stdin.close()
                output = (output + await process.stdout.read()).decode()
                status = await process.wait()
            except asyncio.CancelledError:
                process.kill()
                raise
            if seen.ws is not None:
                await seen.over.wait()
        if seen.error:
            raise seen.error
        return seen, output, status


async def echo(ws, seen):
    async for message in ws:
        seen.texts.append(message)
        await ws.send(message)


def expect_line(output, line):
    if line not in output.splitlines():
        raise AssertionError("no output line is %.80r; the output is %.400r" % (line, output))


async def lines_come_back(ours):
    lines = ["hello", "Grüße, 🌍", "x" * MIB]
    seen, output, status = await ours.run(echo, lines, max_size=2 * MIB)
    expect("what the server received", [len(t) for t in seen.texts], [len(t) for t in lines])
    expect("what the server received", seen.texts, lines)
    for line in lines:
        expect_line(output, line)
    expect("the client's close code", seen.ws.protocol.close_rcvd.code, 1000)
    expect("the exit status", status, 0)


async def everything_arrives(ours):
    async def behave(ws, _):
        await ws.send("plain")
        await ws.send(ALL_BYTES)
        await ws.send(["frag", "men", "", "ted"])
        await ws.send("y" * MIB)
        await ws.close(1000, "all sent")

    _, output, status = await ours.run(behave)
    for line in ("plain", "fragmented", "y" * MIB):
        expect_line(output, line)
    if "256" not in output.replace("y" * MIB, ""):
        raise AssertionError("the binary message of 256 bytes is not shown: %.200r" % output)
    expect("the exit status", status, 0)


async def pings_are_answered(ours):
    async def behave(ws, _):
        for payload in (b"", b"x", b"\xff" * 125):
            await (await ws.ping(payload))
        await ws.close(1000)

    _, _, status = await ours.run(behave)
    expect("the exit status", status, 0)


async def closed_by_server(ours, code, reason):
    async def behave(ws, _):
        await ws.close(code, reason)

    seen, output, status = await ours.run(behave)
    expect("the answer to the close", seen.ws.protocol.close_rcvd and seen.ws.protocol.close_rcvd.code, code)
    for part in (str(code), reason):
        if not re.search(r"\b%s\b" % re.escape(part), output):
            raise AssertionError("%r is not shown: %.200r" % (part, output))
    expect("the exit status", status, 0)


async def header_and_protocol(ours):
    async def behave(ws, _):
        expect("the header", ws.request.headers.get("X-Test"), "a b")
        expect("the path", ws.request.path, "/path?query=1")
        expect("the subprotocol", ws.subprotocol, "second")
        await ws.close(1000)

    _, _, status = await ours.run(
        behave, options=["--header", "X-Test:a b", "--protocol", "first", "--protocol", "second"],
        subprotocols=["second"])
    expect("the exit status", status, 0)


async def cut_off(ours):
    async def behave(ws, _):
        ws.transport.abort()

    _, output, status = await ours.run(behave)
    if status == 0:
        raise AssertionError("exit status 0 for a connection without a close: %.200r" % output)


async def refused(ours):
    async def never(ws, _):
        raise AssertionError("the upgrade was refused")

    def process_request(connection, _):
        return connection.respond(http.HTTPStatus.FORBIDDEN, "not for you\n")

    _, output, status = await ours.run(never, process_request=process_request)
    if status == 0 or "403" not in output:
        raise AssertionError("status %d, output %.200r" % (status, output))


async def unknown_certificate(ours):
    async def never(ws, _):
        raise AssertionError("the client accepted a certificate that nobody signed")

    seen, output, status = await ours.run(never, insecure=False)
    if status == 0 or seen.ws is not None:
        raise AssertionError("status %d, output %.200r" % (status, output))


async def server(program, tls):
    ours = Ours(program, tls)
    await check("lines come back, 1 MiB too", lines_come_back(ours))
    await check("text, binary, fragments, 1 MiB arrive", everything_arrives(ours))
    await check("pings are answered", pings_are_answered(ours))
    for code, reason in CLOSES:
        await check("close %d by the server" % code, closed_by_server(ours, code, reason))
    await check("header, path and subprotocol", header_and_protocol(ours))
    await check("a cut connection is no clean end", cut_off(ours))
    await check("a refused upgrade is told", refused(ours))
    if tls:
        await check("an unknown certificate is refused", unknown_certificate(ours))


def main(argv):
    if len(argv) >= 3 and argv[1] == "client":
        asyncio.run(client(argv[2], argv[3] if len(argv) > 3 else None))
    elif len(argv) >= 3 and argv[1] == "server":
        asyncio.run(server(argv[2], argv[3:5] or None))
    else:
        sys.exit(__doc__)
    print("end")


if __name__ == "__main__":
    main(sys.argv)
