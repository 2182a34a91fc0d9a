"""Python's `websockets` as a server to which clients come back; started by `run`.

usage: websockets_server.py PORT [FILE]

The path of a request says what is done. NAME distinguishes clients, and is not looked at otherwise.

/echo/NAME          messages are echoed
/close/CODE/NAME    the first connection is closed with this code, or without one if CODE is `none`; later ones are echoed
/busy/NAME          the first two requests are answered with 503 and `Retry-After: 2`; later ones are accepted and echoed
/login/NAME         the request is answered with 401
/commands           the first message is a subscription, `heartbeat` is ignored, and every other message is a command, which is
                    written to FILE, unless it is there already, and acknowledged after that

Prints `listening`, `request PATH` for each request, and `got PATH MESSAGE`, of which the first 80 characters are printed.
"""
import asyncio
import collections
import contextlib
import http
import sys

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

SUBSCRIPTION = "subscribe prices"
requests = collections.Counter()
tasks = set()               # those that acknowledge, because asyncio keeps no task


def answer(connection, request):
    print("request %s" % request.path, flush=True)
    requests[request.path] += 1
    what = request.path.split("/")[1]
    if what == "busy" and requests[request.path] <= 2:
        response = connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, "busy\n")
        response.headers["Retry-After"] = "2"
        return response
    if what == "login":
        return connection.respond(http.HTTPStatus.UNAUTHORIZED, "who are you?\n")
    return None


async def handle(ws):
    path = ws.request.path
    _, what, *rest = path.split("/")
    if what == "close" and requests[path] == 1:
        await ws.close(None if rest[0] == "none" else int(rest[0]))
    elif what == "commands":
        await take_commands(ws)
    else:
        async for message in ws:
            print("got %s %s" % (path, message[:80]), flush=True)
            await ws.send(message)


async def take_commands(ws):
    first = await ws.recv()
    if first != SUBSCRIPTION:
        print("the first message was %r" % first, flush=True)
    async for message in ws:
        if message == "heartbeat":
            continue
        if message not in commands:
            file.write(message + "\n")
            file.flush()
            commands.add(message)
        print("got /commands %s" % message, flush=True)
        acknowledging = asyncio.ensure_future(acknowledge(ws, message))
        tasks.add(acknowledging)
        acknowledging.add_done_callback(tasks.discard)


async def acknowledge(ws, message):
    """It takes a while, so that there are always commands that are written and not acknowledged."""
    await asyncio.sleep(0.1)
    with contextlib.suppress(ConnectionClosed):
        await ws.send("ack " + message)


async def main(port):
    async with serve(handle, "127.0.0.1", port, process_request=answer, max_size=None, backlog=4096):
        print("listening", flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        file = open(sys.argv[2], "a+", encoding="utf-8")
        file.seek(0)
        commands = set(file.read().splitlines())
    asyncio.run(main(int(sys.argv[1])))
