"""Long streams of messages of every kind, to `zlib_pipe` and back."""
import collections
import itertools
import random
import subprocess
import zlib

from peer import (BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, RSV1, TEXT, Deflater, Inflater, frame, frames)

MESSAGES = 2000             # in one stream
LIMIT = 120                 # seconds that a stream may take before it counts as hung
WINDOWS = range(9, 16)
MEMORY_LEVELS = range(1, 10)
TAKEOVER = ["", "s", "r", "sr"]     # `s` for what we send, `r` for what we receive
LEVELS = [1, 6, 9, 2]               # our levels
PEER_LEVELS = [6, 0, 1, 9]
STRATEGIES = [zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED]
WAYS = ["sync"] * 6 + ["full", "partial", "block", "final", "tail left on", "once", "once", "once"]
CUTS = {"whole": [1, 7, 1400, 65536], "chunks": [50, 300, 1400, 65536]}     # each chunk is flushed

FRAMES = [0, 0, 1000, 20]

Options = collections.namedtuple("Options", "role bits takeover level memory frame pull cut peer_level strategy")


def checks(program):
    """Yields a check for each window, with every memory level and kind of takeover, and all else at random."""
    for bits in WINDOWS:
        chance = random.Random(bits)
        plan = []
        for memory, takeover in itertools.product(MEMORY_LEVELS, TAKEOVER):
            pull = chance.choice(["whole", "chunks"])
            plan.append(Options(
                role=chance.choice(["client", "server"]), bits=bits, takeover=takeover, level=chance.choice(LEVELS),
                memory=memory, frame=chance.choice(FRAMES), pull=pull, cut=chance.choice(CUTS[pull]),
                peer_level=chance.choice(PEER_LEVELS), strategy=chance.choice(STRATEGIES)))
        yield "window of %d bits" % bits, lambda plan=plan: window(program, plan)


def window(program, plan):
    total = collections.Counter()
    messages = list(contents(random.Random(plan[0].bits)))
    for options in plan:
        try:
            total += stream(program, options, messages)
        except Exception as e:
            raise AssertionError("%s: %s: %s" % (options, type(e).__name__, e)) from e
    if total["compressed"] < total["messages"] // 3 or not total["plain"]:
        raise AssertionError("the streams did not cover what they should: %s" % dict(total))
    return "%d streams, %d messages there and back, of which we compressed %d" % (
        len(plan), total["messages"], total["compressed"])


def contents(chance):
    """Yields messages of all kinds, and whether each is text. One that begins with P must come back plain."""
    noise = chance.randbytes(1 << 17)
    before = b"first"
    for _ in range(MESSAGES):
        kind = chance.random()
        size = int(2 ** chance.uniform(0, 11)) if chance.random() < 0.99 else chance.randrange(100_000)
        at = chance.randrange(1 << 15)
        if kind < 0.05:
            content, text = b"", True
        elif kind < 0.15:
            content, text = noise[at:at + size], False
        elif kind < 0.25:
            content, text = before, False
        elif kind < 0.35:
            content, text = bytes([at % 7]) * size, False
        elif kind < 0.45:
            content, text = ("κόσμε, Grüße, 🌍 %d; " % at * (size // 20 + 1)).encode(), True
        else:
            content, text = json(chance, size), True
        if kind > 0.9:
            content = b"P" + content
        elif content[:1] == b"P":
            content = b"p" + content[1:]
        before = content or before
        yield content, text


def json(chance, size):
    parts = []
    while size > 0:
        parts.append('{"id":%d,"name":"user%d","on":true},' % (chance.randrange(100_000), chance.randrange(300)))
        size -= len(parts[-1])
    return "".join(parts).encode()


def stream(program, options, messages):
    chance = random.Random(str(options))
    deflater = Deflater(options.bits, "r" in options.takeover, options.peer_level, options.memory, options.strategy)
    masks = options.role == "server"        # frames to a server are masked
    wire, pings = [], 0
    for content, text in messages:
        first, data = TEXT if text else BINARY, content
        if chance.random() > 0.1:
            first, data = first | RSV1, deflater.message(content, chance.choice(WAYS))
        pieces = [data]
        while chance.random() < 0.3:
            at = chance.randrange(len(pieces[-1]) + 1)
            pieces[-1:] = [pieces[-1][:at], pieces[-1][at:]]
        for number, piece in enumerate(pieces):
            opcode = CONTINUATION if number else first
            wire.append(frame(opcode | (FIN if number + 1 == len(pieces) else 0), piece, masks))
            if chance.random() < 0.01:
                wire.append(frame(FIN | PING, b"?", masks))
                pings += 1
    wire.append(frame(FIN | CLOSE, b"\x03\xe8", masks))

    command = [program, options.role, options.bits, options.takeover, options.level, options.memory, options.frame,
               options.pull, options.cut]
    ours = subprocess.run([str(part) for part in command], input=b"".join(wire), stdout=subprocess.PIPE,
                          timeout=LIMIT, check=True).stdout
    return judge(options, chance, ours, messages, pings)


def judge(options, chance, wire, messages, pings):
    """Checks that `wire` has all messages in order and then the answer to the Close; returns counts."""
    inflater = Inflater(options.bits, "s" in options.takeover)
    count = collections.Counter(messages=len(messages))
    expected = iter(messages)
    begin, parts, pongs, closed = 0, None, 0, None
    for first, payload in frames(wire, options.role == "client"):
        fin, opcode = first & FIN, first & 0x0F
        if closed is not None:
            raise AssertionError("a frame after the Close")
        if opcode == CLOSE:
            closed = payload
            continue
        if opcode == PONG:
            pongs += 1
            continue
        if (opcode == CONTINUATION) != (parts is not None) or opcode == CONTINUATION and first & RSV1:
            raise AssertionError("a frame begins with %02x" % first)
        if parts is None:
            begin, parts = first, []
        parts.append(payload)
        if not fin:
            continue
        content, text = next(expected)
        number = count["compressed"] + count["plain"]
        data, parts = b"".join(parts), None
        if begin & RSV1:
            data = inflater.message(data, chance.choice([0, 0, 0, 0, 0, 0, 61, 4000]))
        count["compressed" if begin & RSV1 else "plain"] += 1
        if data != content or begin & 0x0F != (TEXT if text else BINARY):
            raise AssertionError("message %d of %d octets came back as %d others" % (number, len(content), len(data)))
        if begin & RSV1 and content[:1] == b"P":
            raise AssertionError("message %d should be plain" % number)
    if next(expected, None) is not None or closed != b"\x03\xe8":
        raise AssertionError("not all came back, the Close was %s" % closed)
    # Of several Pings that arrive together, only the last must be answered.
    if not (pings == 0 or 0 < pongs <= pings):
        raise AssertionError("%d Pongs for %d Pings" % (pongs, pings))
    return count
