"""Builds the workspace's examples and runs them, for the suites in the folders beside this file."""
import json
import os
import re
import shutil
import signal
import subprocess
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def target_dir():
    """Returns the folder of cargo's output. Installations and reports of the suites go below it."""
    text = subprocess.run(["cargo", "metadata", "--format-version", "1", "--no-deps"],
                          cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    return json.loads(text)["target_directory"]


def build(package, *names, features=""):
    """Builds examples for release; returns the folder that holds them."""
    command = ["cargo", "build", "--release", "-p", package, "--features", features]
    for name in names:
        command += ["--example", name]
    subprocess.run(command, cwd=ROOT, check=True)
    return os.path.join(target_dir(), "release", "examples")


def copies(package, *names, features=""):
    """Builds examples for release; returns copies of them, because the examples of all bindings have the same names."""
    folder = build(package, *names, features=features)
    return [shutil.copy2(os.path.join(folder, name), os.path.join(folder, "%s-of-%s" % (name, package))) for name in names]


def build_app(package):
    """Builds an application for release; returns its program."""
    subprocess.run(["cargo", "build", "--release", "-p", package], cwd=ROOT, check=True)
    return os.path.join(target_dir(), "release", package)


class Server:
    """A running example server; its first output line ends with the address it listens on.

    Its error output goes to the file `log`.
    """

    def __init__(self, log, *command):
        with open(log, "w") as complaints:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, text=True)
        guard = threading.Timer(60, self.process.kill)
        guard.start()
        line = self.process.stdout.readline()
        guard.cancel()
        found = re.search(r"127\.0\.0\.1:(\d+)\s*$", line)
        if not found:
            self.stop()
            raise RuntimeError("%s: the first line is not `listening on 127.0.0.1:PORT` but %r"
                               % (" ".join(command), line))
        self.port = int(found[1])
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def alive(self):
        return self.process.poll() is None

    def stop(self):
        """Sends Ctrl-C, and kills the process if that does not end it. Returns True if it ended by itself."""
        if self.alive():
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(10)
            return True
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return False
