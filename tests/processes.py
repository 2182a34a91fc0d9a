"""Processes of a suite, what they print, and where they listen, for the folders beside this file."""
import asyncio
import contextlib
import os
import random
import shutil
import socket
import subprocess

LIMIT = 120                 # seconds that anything may take before it counts as hung

_given = set()              # the ports that `free_port` has returned


def expect(what, got, wanted):
    if got != wanted:
        raise AssertionError("%s: %.200r instead of %.200r" % (what, got, wanted))


def free_port():
    """Returns a port from which the system makes no outgoing connections, and never the same one twice.

    A client that connects to a port of its own machine on which nothing listens may otherwise be given the same port, and then
    it is connected to itself.
    """
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as f:
        lowest = int(f.read().split()[0])
    while True:
        port = random.randrange(max(1024, lowest - 16384), lowest)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port


def listens(port):
    with socket.socket() as s:
        s.settimeout(0.2)
        return s.connect_ex(("127.0.0.1", port)) == 0


def folder_of(folder, name):
    """Makes an empty folder for a program, which may run as another user."""
    path = os.path.join(folder, name)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    os.chmod(path, 0o777)
    return path


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, 0o644)
    return path


def certificate(folder):
    """Makes a certificate of this machine that signs itself. Returns the names of its file and of its key's."""
    cert, key = (os.path.join(folder, name) for name in ("cert.pem", "key.pem"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-addext", "basicConstraints=critical,CA:FALSE"],
                   check=True, stderr=subprocess.DEVNULL)
    return cert, key


class Lines:
    """What a process prints, line by line, in `lines`."""

    def __init__(self, changed):
        self.lines, self.changed = [], changed

    async def read(self, stream):
        async for line in stream:
            self.lines.append(line.decode().rstrip("\n"))
            self.changed.set()

    def starting(self, start):
        """Returns the rest of each line that starts like this."""
        return [line[len(start):] for line in self.lines if line.startswith(start)]


class Process:
    """A process, what it prints, and what it complains about. It may be started again after it has ended."""

    def __init__(self, *command, environment=None):
        self.command, self.environment = command, os.environ | (environment or {})
        self.changed = asyncio.Event()
        self.printed, self.said = Lines(self.changed), Lines(self.changed)
        self.process = self.readers = None

    async def start(self):
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(*self.command, stdin=pipe, stdout=pipe, stderr=pipe,
                                                            env=self.environment)
        self.readers = asyncio.gather(self.printed.read(self.process.stdout), self.said.read(self.process.stderr))
        self.readers.add_done_callback(lambda _: self.changed.set())
        return self

    async def until(self, done, what, limit=LIMIT):
        """Waits until this is true, which only a line that is printed can change."""
        async def wait():
            while not done():
                if self.readers.done():
                    raise AssertionError("it ended before %s: %r" % (what, self.said.lines[-5:]))
                self.changed.clear()
                await self.changed.wait()
        try:
            await asyncio.wait_for(wait(), limit)
        except asyncio.TimeoutError:
            raise AssertionError("it hangs before %s: %r" % (what, self.said.lines[-5:])) from None

    async def ended(self, limit=LIMIT):
        """Returns the exit status, after the last line was read."""
        try:
            status = await asyncio.wait_for(self.process.wait(), limit)
        except asyncio.TimeoutError:
            raise AssertionError("it does not end: %r" % self.said.lines[-5:]) from None
        await self.readers
        return status

    async def kill(self):
        if self.process and self.process.returncode is None:
            self.process.kill()
            await self.ended()


@contextlib.asynccontextmanager
async def running(process):
    """Starts a process, and kills it in the end if it still runs."""
    try:
        yield await process.start()
    finally:
        await process.kill()
