"""Runs one fuzzing mode of the installed suite; started by `run` with the suite's own Python.

usage: driver.py server URL OUTDIR CASES AGENT   tests the echo server at URL
       driver.py client PORT OUTDIR CASES        tests the client that connects to PORT
       driver.py plan CASES                      prints the chosen cases, one per line

CASES is a comma-separated list of case patterns; a leading '-' excludes. OUTDIR exists and is empty.
Exit status: 0 all planned cases ran, 2 bad input, 3 not all ran, 4 error inside the suite.
"""
import os
import re
import signal
import sys
import time
import traceback

TIME_LIMIT = 1800           # seconds for the whole run
IDLE_LIMIT = 120            # seconds without a new connection from the tested client
MAX_NEVER_OPEN = 5          # stop after this many cases in a row without an opening handshake
HANDSHAKE_NEVER = "The WebSocket opening handshake was never completed!"


def die(text):
    sys.stderr.write("error: %s\n" % text)
    sys.exit(2)


def matches(pattern, case):
    """'6.*' and '*' match everything below; in '12.*.3' the '*' stands for one number."""
    p, c = pattern.split("."), case.split(".")
    if p[-1] == "*":
        return len(c) >= len(p) and all(x in ("*", y) for x, y in zip(p[:-1], c))
    return len(c) == len(p) and all(x in ("*", y) for x, y in zip(p, c))


def plan(text):
    """Case patterns -> ids of the cases, in order."""
    from autobahntestsuite.case import Cases
    known = [c.__name__[len("Case"):].replace("_", ".") for c in Cases]
    take, leave = [], []
    for word in text.split(","):
        word = word.strip()
        pattern = word[1:] if word.startswith("-") else word
        if not re.match(r"^(\*|[0-9]+(\.([0-9]+|\*))*)$", pattern):
            die("bad case pattern %r (examples: 1.1.1  6.*  9.7.*  12.*.3  -12.*)" % word)
        found = [k for k in known if matches(pattern, k)]
        if not found:
            hint = "" if "*" in pattern else " (a whole section is written %s.*)" % pattern
            die("no case matches %s%s" % (pattern, hint))
        (leave if word.startswith("-") else take).append(set(found))
    chosen = set().union(*take) if take else set(known)
    chosen -= set().union(*leave)
    return sorted(chosen, key=lambda k: [int(x) for x in k.split(".")])


class Run:
    """Watches and stops one run of the suite, and reports errors that the suite would hide."""

    def __init__(self, ids):
        self.ids = ids
        self.errors = 0
        self.reason = None          # why the run was stopped before its end
        self.reported = False
        self.never_open = 0
        self.factory = None

    def stop(self, reason=None):
        from twisted.internet import reactor
        if reason and not self.reason:
            self.reason = reason
        if reactor.running:
            reactor.stop()

    def error(self, text):
        self.errors += 1
        sys.stderr.write("error inside the suite:\n%s\n" % text)
        self.stop("error inside the suite")

    def observe(self, event):
        """Reports an exception inside the suite, which Twisted would only log."""
        failure = event.get("log_failure")
        if failure is not None:
            self.error(failure.getTraceback())

    def guard(self, cls):
        """Reports an exception in a callback, which the suite's WebSocket library would swallow."""
        def wrap(name, method):
            def guarded(proto, *args, **kwargs):
                try:
                    return method(proto, *args, **kwargs)
                except Exception:
                    self.error("in %s:\n%s" % (name, traceback.format_exc()))
            setattr(cls, name, guarded)

        for name in ("onOpen", "onMessage", "onPong", "onClose", "connectionLost",
                     "executeContinueLater", "executeKillAfter", "executeCloseAfter"):
            wrap(name, getattr(cls, name))

    def watch(self, factory):
        """Hooks into the factory to notice the reports, count cases and give up on a dead peer."""
        self.factory = factory
        create, log_case = factory.createReports, factory.logCase

        def create_reports(*args, **kwargs):
            create(*args, **kwargs)
            self.reported = True

        def log_one(result):
            if self.reason:         # we cut this case off ourselves, so it says nothing about the peer
                return
            log_case(result)
            if result["resultClose"] == HANDSHAKE_NEVER:
                self.never_open += 1
                if self.never_open >= MAX_NEVER_OPEN:
                    self.stop("%d cases in a row without an opening handshake" % self.never_open)
            else:
                self.never_open = 0

        factory.createReports, factory.logCase = create_reports, log_one

    def finish(self):
        results = self.factory.agents
        if results and (self.reason or not self.reported):
            self.factory.createReports()
        if self.reason:
            sys.stderr.write("stopped: %s\n" % self.reason)
        if self.errors:
            sys.stderr.write("error: the suite itself failed; its results cannot be trusted\n")
            return 4
        if not results:
            sys.stderr.write("error: no case was run\n")
            return 3
        complete = True
        for agent in sorted(results):
            missing = [i for i in self.ids if i not in results[agent]]
            if missing:
                complete = False
                sys.stderr.write("error: %s: %d of %d cases did not run, first %s\n"
                                 % (agent, len(missing), len(self.ids), missing[0]))
        return 0 if complete else 3


def test_server(run, spec, url, agent):
    from autobahntestsuite import fuzzing
    run.guard(fuzzing.FuzzingClientProtocol)
    spec["servers"] = [{"agent": agent, "url": url}]
    spec["options"] = {"openHandshakeTimeout": 5}
    factory = fuzzing.FuzzingClientFactory(spec)
    run.watch(factory)
    failed = factory.clientConnectionFailed

    def connection_failed(connector, reason):
        run.reason = run.reason or "cannot connect to %s: %s" % (url, reason.getErrorMessage())
        failed(connector, reason)

    factory.clientConnectionFailed = connection_failed


def test_client(run, spec, port):
    from autobahn.twisted.websocket import listenWS
    from autobahntestsuite import fuzzing
    from twisted.internet import reactor
    from twisted.internet.error import CannotListenError
    run.guard(fuzzing.FuzzingServerProtocol)
    spec["url"] = "ws://127.0.0.1:%s" % port
    factory = fuzzing.FuzzingServerFactory(spec)
    run.watch(factory)
    build = factory.buildProtocol
    last = [time.time()]

    def build_protocol(addr):
        last[0] = time.time()
        proto = build(addr)
        lost = proto.connectionLost

        def connection_lost(reason):
            lost(reason)
            if run.reported:        # this connection asked for the reports
                run.stop()

        proto.connectionLost = connection_lost
        return proto

    factory.buildProtocol = build_protocol

    def check_idle():
        if time.time() - last[0] > IDLE_LIMIT:
            run.stop("no new connection for %d s" % IDLE_LIMIT)
        else:
            reactor.callLater(1, check_idle)

    try:
        listenWS(factory, None, interface="127.0.0.1")
    except CannotListenError as e:
        die("cannot listen on 127.0.0.1:%s: %s" % (port, e.socketError))
    reactor.callLater(1, check_idle)


def main(argv):
    if len(argv) == 3 and argv[1] == "plan":
        print("\n".join(plan(argv[2])))
        return 0
    if (len(argv), argv[1:2]) not in ((6, ["server"]), (5, ["client"])):
        sys.stderr.write(__doc__)
        return 2
    mode, target, outdir, cases = argv[1:5]
    ids = plan(cases)
    if not ids:
        die("no case is left to run")
    run = Run(ids)
    spec = {"cases": ids, "outdir": outdir}

    from twisted.logger import globalLogBeginner
    globalLogBeginner.beginLoggingTo([run.observe], redirectStandardIO=False, discardBuffer=True)
    from twisted.internet import reactor

    stdout = sys.stdout
    with open(os.path.join(outdir, "wstest.log"), "w", buffering=1) as log:
        sys.stdout = log            # the suite prints one line per case
        reactor.callLater(TIME_LIMIT, run.stop, "time limit of %d s" % TIME_LIMIT)
        signal.alarm(TIME_LIMIT + 120)      # in case the reactor does not get its turn
        if mode == "server":
            test_server(run, spec, target, argv[5])
        else:
            test_client(run, spec, target)
            print("listening on ws://127.0.0.1:%s" % target, file=stdout, flush=True)
        reactor.run()
        sys.stdout = stdout
    return run.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv))
