"""What a client does at a server or at an entrance of a proxy: Python's websockets, HTTP, and bare TCP.

Each case returns what there is to say about it, or raises. The clients have an address of their own, which is neither that of the
proxies nor one that any of them would make up.
"""
import asyncio
import contextlib
import http.client
import socket
import ssl
import time

from processes import expect
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

HOST = "127.0.0.1"          # of the servers and the proxies
CLIENT = "127.0.0.9"
SPOOFED = "203.0.113.9"
LIMIT = 60                  # seconds a case may take before it counts as hung
MIB = 1 << 20
ALL_BYTES = bytes(range(256))


@contextlib.asynccontextmanager
async def visit(port, path="/ws", cert=None, source=CLIENT, buffers=None, **options):
    """Opens a WebSocket, by TLS if there is a certificate to trust. `buffers` is the size of the buffers of TCP."""
    with contextlib.ExitStack() as stack:
        tcp = stack.enter_context(socket.socket())
        if buffers:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffers)
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffers)
        tcp.bind((source, 0))
        tcp.setblocking(False)
        await asyncio.get_running_loop().sock_connect(tcp, (HOST, port))
        tls = ssl.create_default_context(cafile=cert) if cert else None
        url = "%s://%s:%d%s" % ("wss" if cert else "ws", HOST, port, path)
        async with connect(url, sock=tcp, ssl=tls, ping_interval=None, max_size=None, proxy=None, **options) as ws:
            yield ws


async def echoes(ws, message):
    await ws.send(message)
    expect("the echo", await ws.recv(), message)


async def echo(port, **how):
    async with visit(port, **how) as ws:
        for message in ("hello, Grüße, 🌍", "", ALL_BYTES, "x" * MIB, ALL_BYTES * (MIB // 256)):
            await echoes(ws, message)


async def closes(ws):
    """Returns the code and the reason of the Close that comes."""
    try:
        message = await ws.recv()
    except ConnectionClosed as closed:
        if closed.rcvd is None:
            raise AssertionError("it was cut without a Close") from None
        return closed.rcvd.code, closed.rcvd.reason
    raise AssertionError("%.100r came instead of a Close" % message)


async def who(port, whole=False, **how):
    """The server knows the client's address, with its port if that is told as well."""
    async with visit(port, "/who", **how) as ws:
        address, own = ws.local_address[:2]
        told = await ws.recv()
        expect("the address", told, "%s:%d" % (address, own if whole else 0))
        expect("the close code", (await closes(ws))[0], 1000)
        return told


async def spoofs(port, name, value, trusted=True):
    """The client claims another address in a field of its own."""
    async with visit(port, "/who", additional_headers={name: value}) as ws:
        told = await ws.recv()
        wanted = [CLIENT + ":0"] if trusted else ["%s:%d" % (CLIENT, ws.local_address[1])]
        # A proxy passes on the field that it does not write, and a server that has two answers has none.
        if name == "Forwarded" and trusted:
            wanted.append("unknown")
        if told not in wanted:
            raise AssertionError("the server was told %r" % told)
        return told


async def refused(port, **how):
    """Returns the response to a client that is not let in."""
    try:
        async with visit(port, **how):
            pass
    except InvalidStatus as refusal:
        return refusal.response
    raise AssertionError("it was let in")


async def origin(port, cert=None):
    """Pages of the server's own host are let in, and no others."""
    scheme = "https" if cert else "http"
    async with visit(port, cert=cert, origin="%s://%s:%d" % (scheme, HOST, port)) as ws:
        await echoes(ws, "hello")
    for foreign in ("%s://%s:%d" % (scheme, HOST, port + 1), scheme + "://evil.test", "null"):
        response = await refused(port, cert=cert, origin=foreign)
        expect("the status for " + foreign, response.status_code, 403)


async def own_origin_is_lost(port):
    """A proxy that changes Host makes the server's own page foreign, so that its origin must be listed."""
    response = await refused(port, origin="http://%s:%d" % (HOST, port))
    expect("the status", response.status_code, 403)
    return "403"


def ask(port, method, path):
    """Returns the response to a request for a page, and its body."""
    connection = http.client.HTTPConnection(HOST, port, timeout=LIMIT, source_address=(CLIENT, 0))
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


async def page(port):
    response, body = await asyncio.to_thread(ask, port, "GET", "/")
    expect("the status", response.status, 200)
    expect("the type", response.getheader("Content-Type"), "text/html")
    expect("the length", response.getheader("Content-Length"), str(len(body)))
    if b"new WebSocket(" not in body:
        raise AssertionError("the page is %.200r" % body)
    head, nothing = await asyncio.to_thread(ask, port, "HEAD", "/")
    expect("the status of HEAD", head.status, 200)
    expect("the length in HEAD", head.getheader("Content-Length"), str(len(body)))
    expect("the body of HEAD", nothing, b"")
    response, _ = await asyncio.to_thread(ask, port, "GET", "/nowhere")
    expect("the status of another path", response.status, 404)
    response, _ = await asyncio.to_thread(ask, port, "GET", "/ws")
    expect("the status without an upgrade", response.status, 426)
    return "%d bytes" % len(body)


async def slow(port):
    """The client reads 32 MiB slowly, while it sends them as fast as they are taken. That is more than all buffers hold that the
    systems and the proxies have on the way, so that the server has to wait for its client too."""
    part, count = MIB // 4, 128
    messages = [bytes([n]) * part for n in range(count)]
    async with visit(port, buffers=16 << 10, max_queue=1) as ws:
        sent = []

        async def send():
            for message in messages:
                await ws.send(message)
                sent.append(message)

        sending = asyncio.ensure_future(send())
        await asyncio.sleep(1)
        waiting = count - len(sent)
        try:
            for n, message in enumerate(messages):
                await asyncio.sleep(0.02)
                if await ws.recv() != message:
                    raise AssertionError("message %d is another one" % n)
            await sending
        finally:
            sending.cancel()
    if not waiting:
        raise AssertionError("all messages were on their way before one was read, so the server did not have to wait")
    return "%d of %d messages had to wait for the reader" % (waiting, count)


async def stays_open(port):
    """No message is sent for twice as long as the proxy allows silence, and the server's Pings keep the connection open."""
    async with visit(port) as ws:
        await echoes(ws, "before")
        try:
            message = await asyncio.wait_for(ws.recv(), 9)
            raise AssertionError("%.100r came" % message)
        except asyncio.TimeoutError:
            pass
        await echoes(ws, "after 9 s")


async def let_in(port):
    """Connects as soon as the server has a place. Returns how long that took."""
    began = time.monotonic()
    while True:
        try:
            async with visit(port) as ws:
                await echoes(ws, "hello")
            return time.monotonic() - began
        except InvalidStatus as refusal:
            expect("the status while there is no place", refusal.response.status_code, 503)
            await asyncio.sleep(0.02)


async def full(port):
    """A server that takes one client tells the second one when to come back, and takes it when the first has left."""
    async with visit(port) as ws:
        await echoes(ws, "hello")
        response = await refused(port)
        expect("the status", response.status_code, 503)
        expect("Retry-After", response.headers.get("Retry-After"), "5")
        await echoes(ws, "still here")
    return "there was a place %.2f s after the first client had left" % await let_in(port)


async def cut(port):
    """The proxy cuts a connection on which nothing is sent, and the server has a place again."""
    async with visit(port) as ws:
        await echoes(ws, "hello")
        began = time.monotonic()
        try:
            await ws.recv()
            raise AssertionError("a message came")
        except ConnectionClosed as closed:
            expect("the Close that came", closed.rcvd, None)
            ended = time.monotonic() - began
        return "it was cut after %.2f s, and there was a place %.2f s later" % (ended, await let_in(port))


async def answers_nothing(port, source, sends):
    """A server that expects a PROXY header closes a connection that has none."""
    with socket.socket() as tcp:
        tcp.bind((source, 0))
        tcp.setblocking(False)
        loop, began = asyncio.get_running_loop(), time.monotonic()
        await loop.sock_connect(tcp, (HOST, port))
        got = b""
        try:
            await loop.sock_sendall(tcp, sends)
            got = await loop.sock_recv(tcp, 1000)
        except (ConnectionResetError, BrokenPipeError):
            pass
        expect("the answer", got, b"")
        return "closed after %.2f s" % (time.monotonic() - began)
