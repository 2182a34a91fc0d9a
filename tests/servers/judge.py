"""Starts the servers and what stands before them, and goes through the cases; started by `run`.

usage: judge.py FOLDER NODE [quick]      NODE is the folder of the npm packages
"""
import asyncio
import contextlib
import json
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import examples  # noqa: E402
import fronts  # noqa: E402
import visits  # noqa: E402
from processes import Process, certificate, expect, running  # noqa: E402
from tally import Tally  # noqa: E402

BINDINGS = ("tokio", "smol", "blocking")
HOSTED = ("axum", "hyper")
FRONTS = (fronts.Nginx, fronts.HAProxy)
COLUMNS = ("direct", *(front.name for front in FRONTS), "Chromium", "Node")
SCRIPT_LIMIT = 300          # seconds one script may take before it counts as hung

# The entrances of each proxy, by their names: the server behind each, and its kind.
ENTRANCES = {
    "page": ("page", "http"),
    "TLS": ("page", "https"),
    "another Host": ("page", "renamed"),
    "PROXY 1": ("proxied", "v1"),
    "PROXY 2": ("proxied", "v2"),
    "PROXY 1, TLS": ("TLS", "v1"),
    "PROXY 2, TLS": ("TLS", "v2"),
    "Unix": ("Unix", "http"),
    "Unix, PROXY 1": ("Unix, proxied", "v1"),
    "Unix, PROXY 2": ("Unix, proxied", "v2"),
    "alive": ("alive", "brief"),
    "stops": ("stops", "http"),
}


class Listening(Process):
    """A server whose first lines end with the addresses that it listens on."""

    def __init__(self, *command):
        super().__init__(*command)
        self.at = self.port = None

    async def start(self):
        await super().start()
        await self.until(lambda: self.found(), "it listens")
        return self

    def found(self):
        for line in self.printed.lines:
            self.at = line.split()[-1].removeprefix("http://").rstrip("/")
            if ":" in self.at:
                self.port = int(self.at.rsplit(":", 1)[1])
                return True
        return False


class Serve(Listening):
    """The example `serve`."""

    def __init__(self, program, *options, unix=None):
        super().__init__(program, *(["--unix", unix] if unix else ["--listen", visits.HOST + ":0"]), *options)
        self.unix = unix

    def found(self):
        if "ready" not in self.printed.lines:
            return False
        if self.unix:
            self.at = self.unix
            return True
        return super().found()

    async def stop(self):
        """Asks it to stop."""
        self.process.stdin.write(b"\n")
        await self.process.stdin.drain()


class Row:
    """The cases of one binding: its servers by their names, and the proxies before them."""

    def __init__(self, tally, binding, servers, proxies, cert):
        self.tally, self.binding, self.servers, self.proxies, self.cert = tally, binding, servers, proxies, cert

    async def case(self, column, title, running):
        limited = asyncio.wait_for(running, visits.LIMIT)
        await self.tally.case(self.binding, column, title if column == "direct" else "%s, %s" % (column, title), limited)

    def direct(self):
        page, proxied = self.servers["page"].port, self.servers["proxied"].port
        request = b"GET /ws HTTP/1.1\r\nHost: a.test\r\n\r\n"
        return [self.case("direct", title, running) for title, running in (
            ("text, binary and 1 MiB", visits.echo(page)),
            ("the client's address", visits.who(page, whole=True)),
            ("a spoofed X-Forwarded-For", visits.spoofs(page, "X-Forwarded-For", visits.SPOOFED, trusted=False)),
            ("a spoofed Forwarded", visits.spoofs(page, "Forwarded", "for=" + visits.SPOOFED, trusted=False)),
            ("origins", visits.origin(page)),
            ("a page", visits.page(page)),
            ("no PROXY header, from no proxy", visits.answers_nothing(proxied, visits.CLIENT, b"")),
            ("no PROXY header, a request instead", visits.answers_nothing(proxied, visits.HOST, request)),
        )]

    async def well(self):
        for name, server in self.servers.items():
            expect("complaints of " + name, server.said.lines, [])
            expect("status of " + name, server.process.returncode, 0 if name == "stops" else None)

    def silent(self):
        return self.case("direct", "no PROXY header, nothing instead",
                         visits.answers_nothing(self.servers["proxied"].port, visits.HOST, b""))

    def behind(self, front):
        """What needs no waiting. A proxy has only some of the entrances."""
        ports, cert = self.proxies[front].ports, self.cert
        cases = [
            ("page", "text, binary and 1 MiB", visits.echo, {}),
            ("page", "the client's address by X-Forwarded-For", visits.who, {}),
            ("page", "a spoofed X-Forwarded-For", visits.spoofs, {"name": "X-Forwarded-For", "value": visits.SPOOFED}),
            ("page", "a spoofed Forwarded", visits.spoofs, {"name": "Forwarded", "value": "for=" + visits.SPOOFED}),
            ("page", "origins", visits.origin, {}),
            ("page", "a page", visits.page, {}),
            ("TLS", "TLS ends at the proxy", visits.echo, {"cert": cert}),
            ("TLS", "TLS ends at the proxy, origins", visits.origin, {"cert": cert}),
            ("another Host", "Host is changed, own origin", visits.own_origin_is_lost, {}),
            ("Unix", "a Unix socket", visits.echo, {}),
            ("Unix", "a Unix socket, the client's address by X-Forwarded-For", visits.who, {}),
        ]
        for version in ("PROXY 1", "PROXY 2"):
            cases += [
                (version, "%s, text, binary and 1 MiB" % version, visits.echo, {}),
                (version, "%s, the client's address" % version, visits.who, {"whole": True}),
                (version + ", TLS", "%s before TLS, the client's address" % version, visits.who, {"whole": True, "cert": cert}),
                ("Unix, " + version, "%s at a Unix socket, the client's address" % version, visits.who, {"whole": True}),
            ]
        return [self.case(front, title, visit(ports[entrance], **how)) for entrance, title, visit, how in cases
                if entrance in ports]

    def waiting(self, front):
        """What takes some seconds."""
        ports = self.proxies[front].ports

        async def in_turn():
            """A place is free in the end of each of these cases, which all need it."""
            await self.case(front, "503 when it is full", visits.full(ports["full"]))
            await self.case(front, "a connection is cut", visits.cut(ports["cut"]))

        return [self.case(front, "32 MiB to a slow reader", visits.slow(ports["page"])),
                self.case(front, "Pings keep a connection open", visits.stays_open(ports["alive"])),
                in_turn()]

    def stops(self):
        """Stops a server that has a client at each of its entrances."""
        server = self.servers["stops"]
        ports = {"direct": server.port} | {name: front.ports["stops"] for name, front in self.proxies.items()}
        opened = {column: asyncio.Event() for column in ports}

        async def told(column):
            try:
                async with visits.visit(ports[column]) as ws:
                    await visits.echoes(ws, "hello")
                    opened[column].set()
                    code, _ = await visits.closes(ws)
                    expect("the close code", code, 1001)
                    return "1001"
            finally:
                opened[column].set()

        async def stopped():
            for event in opened.values():
                await event.wait()
            await server.stop()
            expect("the exit status", await server.ended(), 0)
            expect("the last line", server.printed.lines[-1], "stopped")
            expect("complaints", server.said.lines, [])
            return "status 0"

        return [*(self.case(column, "the server stops", told(column)) for column in ports),
                self.case("direct", "the server has stopped", stopped())]


async def started(stack, process):
    return await stack.enter_async_context(running(process))


async def servers_of(stack, program, pair, sockets, binding):
    """Starts the servers of a binding. Each trusts its proxies in the way that its entrances need."""
    forwarded, proxied = ["--forwarded", visits.HOST], ["--proxy-protocol", visits.HOST]
    cert, key = pair
    path = lambda name: os.path.join(sockets, binding + name)  # noqa: E731
    servers = {
        "page": Serve(program, "--page", *forwarded),
        "proxied": Serve(program, *proxied),
        "TLS": Serve(program, *proxied, "--cert", cert, "--key", key),
        "Unix": Serve(program, *forwarded, unix=path("")),
        "Unix, proxied": Serve(program, *proxied, unix=path("-proxied")),
        "alive": Serve(program, *forwarded, "--keep-alive", "1"),
        "stops": Serve(program, *forwarded),
    } | {"full, " + front.name: Serve(program, *forwarded, "--max", "1") for front in FRONTS}
    for server in servers.values():
        await started(stack, server)
    return servers


async def proxies_of(stack, folder, binding, pair, servers):
    """Starts the proxies before the servers of a binding."""
    proxies = {}
    for kind in FRONTS:
        front = kind(os.path.join(folder, binding), pair)
        full = "full, " + front.name
        entrances = ENTRANCES | {"full": (full, "http"), "cut": (full, "brief")}
        for name, (server, how) in entrances.items():
            if how in front.kinds():
                front.add(name, how, servers[server].at)
        proxies[front.name] = await started(stack, front)
    return proxies


async def script(tally, column, row, command, environment):
    """Counts the `pass ...` and `FAIL ...` lines of a script, whose first word is the row if there is no `row`. If the last line is
    not `end`, the script broke off."""
    async with running(Process("timeout", str(SCRIPT_LIMIT), "node", *command, environment=environment)) as process:
        status = await process.ended(2 * SCRIPT_LIMIT)
        for line in process.printed.lines:
            verdict, _, what = line.partition(" ")
            if verdict in ("pass", "FAIL"):
                of, what = (row, what) if row else what.split(" ", 1)
                tally.note(of, column, column, verdict == "pass", what)
        if status != 0 or process.printed.lines[-1:] != ["end"]:
            tally.note(row or BINDINGS[0], column, column, False,
                       "the script broke off, status %d: %r" % (status, process.said.lines[-5:]))


def pages_of(row):
    """Returns what Chromium visits of a binding."""
    ports = {name: front.ports for name, front in row.proxies.items()}
    found = []
    for front, other in zip(ports, reversed(ports)):
        for title, letter, entrance in (("", "", "page"), (" with TLS", "s", "TLS")):
            at = "%s:%d" % (visits.HOST, ports[front][entrance])
            found.append({
                "name": "%s %s%s" % (row.binding, front, title),
                "page": "http%s://%s/" % (letter, at),
                "socket": "ws%s://%s/ws" % (letter, at),
                "foreign": "http://%s:%d/" % (visits.HOST, ports[other]["page"]),
                "shows": True,
            })
    return found


async def judge_binding(stack, tally, folder, binding, program, pair, sockets, quick):
    """Goes through the cases of a binding. Returns what Chromium is to visit."""
    servers = await servers_of(stack, program, pair, sockets, binding)
    proxies = await proxies_of(stack, folder, binding, pair, servers)
    row = Row(tally, binding, servers, proxies, pair[0])
    cases = [*row.direct(), *row.stops(), *([] if quick else [row.silent()])]
    for name, front in proxies.items():
        cases += row.behind(name)
        if not quick:
            cases += row.waiting(name)
        if "v1" not in front.kinds():
            tally.skip(binding, "%s, PROXY 1" % name, "its stream module is not installed")
    await asyncio.gather(*cases)
    await row.case("direct", "no server complains or ends", row.well())
    return pages_of(row)


async def main(folder, node, quick):
    hosted = dict(zip(HOSTED, examples.copies("bowline-tokio", *HOSTED, features="axum")))
    programs = {binding: examples.copies("bowline-" + binding, "serve")[0] for binding in BINDINGS}
    pair = certificate(folder)
    tally = Tally("server", BINDINGS + HOSTED, COLUMNS)
    environment = {"NODE_PATH": os.path.join(node, "node_modules")}
    pages = []
    async with contextlib.AsyncExitStack() as stack:
        # The path of a Unix socket must be short.
        sockets = stack.enter_context(tempfile.TemporaryDirectory())
        os.chmod(sockets, 0o755)
        for binding, program in programs.items():
            spared = quick and binding != "tokio"
            found = await judge_binding(stack, tally, folder, binding, program, pair, sockets, spared)
            pages += [] if spared else found
        hosts = {name: await started(stack, Listening(program, visits.HOST + ":0")) for name, program in hosted.items()}
        for name, host in hosts.items():
            await script(tally, "Node", name, [os.path.join(HERE, "ws_client.js"), host.at], environment)
        for (name, host), other in zip(hosts.items(), reversed(hosts.values())):
            pages.append({"name": name + " direct", "page": "http://%s/" % host.at, "socket": "ws://%s/" % host.at,
                          "foreign": "http://%s/" % other.at, "shows": False})
        await script(tally, "Chromium", None, [os.path.join(HERE, "chromium.js"), json.dumps(pages)], environment)
    tally.show()
    return tally.status()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:3], sys.argv[3:] == ["quick"])))
