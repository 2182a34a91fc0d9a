"""Python's `websockets` as the server of the small example programs; started by `run`.

usage: programs_peer.py TOKIO BLOCKING CERT KEY     the folders with the programs of two bindings

Prints `pass NAME` or `FAIL NAME: why` for every check, and `end` after the last.
"""
import asyncio
import os
import ssl
import sys

from websockets_peer import check, expect

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


class Served:
    """A server that runs `handler` for one connection, and the program that connects to it."""

    def __init__(self, handler, tls=None, **options):
        self.handler, self.tls, self.options = handler, tls, options
        self.result = asyncio.get_running_loop().create_future()

    async def handle(self, ws):
        try:
            self.result.set_result(await self.handler(ws))
        except Exception as e:  # it is the result
            self.result.set_exception(e)

    async def run(self, program, *arguments, **environment):
        """Returns what the handler returned, and what the program printed; the program must succeed."""
        async with serve(self.handle, "127.0.0.1", 0, ssl=self.tls, **self.options) as server:
            port = server.sockets[0].getsockname()[1]
            url = "%s://localhost:%d/" % ("wss" if self.tls else "ws", port)
            process = await asyncio.create_subprocess_exec(program, url, *arguments, stdout=asyncio.subprocess.PIPE,
                                                           env=os.environ | environment)
            try:
                printed, _ = await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
            expect("the status", process.returncode, 0)
            return await self.result, printed.decode().splitlines()


async def closed(ws):
    try:
        await ws.recv()
    except ConnectionClosed as end:
        return end.rcvd.code, end.rcvd.reason
    raise AssertionError("a message came instead of the Close")


async def dotnet_client(folder, cert, key):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)

    async def handler(ws):
        expect("the message", await ws.recv(), "Hello")
        await ws.send("x" * 1800)
        return await closed(ws)

    served = Served(handler, tls)
    end, printed = await served.run(os.path.join(folder, "dotnet_client"), SSL_CERT_FILE=cert)
    expect("the end", end, (1000, "Closing"))
    expect("the output", printed, ["count 1024, end of message false", "count 776, end of message true"])


async def heartbeat(folder):
    async def handler(ws):
        for _ in range(2):
            expect("the heartbeat", await ws.recv(), "heartbeat")
        await ws.send("seen")
        await ws.close()

    _, printed = await Served(handler).run(os.path.join(folder, "heartbeat"))
    expect("the output", printed, ['Text("seen")'])


async def publisher(folder):
    """The server fails a connection whose Pings are not answered: nothing of the program's own reads them."""

    async def handler(ws):
        lines = [line async for line in ws]
        return lines, ws.close_code

    served = Served(handler, ping_interval=0.3, ping_timeout=0.3)
    (lines, code), _ = await served.run(os.path.join(folder, "publisher"), "40")
    expect("the lines", lines, ["line %d" % n for n in range(40)])
    expect("the code", code, 1000)


async def main(tokio, blocking, cert, key):
    await check("dotnet_client over wss", dotnet_client(tokio, cert, key))
    await check("publisher answers Pings", publisher(tokio))
    await check("heartbeat in one thread", heartbeat(blocking))
    print("end", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
