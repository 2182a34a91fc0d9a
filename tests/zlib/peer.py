"""A peer that compresses and inflates with Python's zlib, and handles frames by hand (RFC 6455 §5.2, RFC 7692)."""
import zlib

FIN, RSV1 = 0x80, 0x40
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
TAIL = b"\x00\x00\xff\xff"
KEY = b"\x37\xfa\x21\x3d"


def masked(payload, key):
    """Returns `payload` XOR `key`, with the key repeated."""
    size = len(payload)
    keys = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")).to_bytes(size, "big")


def frame(first, payload, mask):
    size = len(payload)
    bit = 0x80 if mask else 0
    if size < 126:
        head = bytes([first, bit | size])
    elif size < 1 << 16:
        head = bytes([first, bit | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([first, bit | 127]) + size.to_bytes(8, "big")
    return head + KEY + masked(payload, KEY) if mask else head + payload


def frames(wire, mask):
    """Yields first octet and payload of each frame in `wire`. All frames must be masked if `mask`, else none."""
    at = 0
    while at < len(wire):
        first, size = wire[at], wire[at + 1] & 0x7F
        if (wire[at + 1] >= 0x80) != mask:
            raise AssertionError("a frame is masked" if not mask else "a frame is not masked")
        at += 2
        if size >= 126:
            width = 2 if size == 126 else 8
            size = int.from_bytes(wire[at:at + width], "big")
            at += width
        key = wire[at:at + 4]
        at += 4 if mask else 0
        if at + size > len(wire):
            raise AssertionError("the last frame is cut")
        payload = wire[at:at + size]
        at += size
        yield first, masked(payload, key) if mask else payload


class Deflater:
    """Compresses messages in one of the ways that a peer may (RFC 7692 §7.2.1, §7.2.3)."""

    def __init__(self, bits, takeover, level, memory_level, strategy):
        self.options = (level, zlib.DEFLATED, -bits, memory_level, strategy)
        self.takeover = takeover
        self.state = None

    def message(self, content, way):
        if self.state is None:
            self.state = zlib.compressobj(*self.options)
        if not content:
            return b"\x00"
        half = len(content) // 2
        out = b""
        if way in ("sync", "full", "partial", "block"):
            flush = {"sync": zlib.Z_SYNC_FLUSH, "full": zlib.Z_FULL_FLUSH, "partial": zlib.Z_PARTIAL_FLUSH,
                     "block": zlib.Z_BLOCK}[way]
            out += self.state.compress(content[:half]) + self.state.flush(flush)
            out += self.state.compress(content[half:])
        else:
            out += self.state.compress(content)
        if way == "final":
            out += self.state.flush(zlib.Z_FINISH)
            self.state = None
            return out
        out += self.state.flush(zlib.Z_SYNC_FLUSH)
        if not out.endswith(TAIL):
            raise AssertionError("a flush does not end with an empty block")
        if not self.takeover:
            self.state = None
        return out if way == "tail left on" else out[:-4]


class Inflater:
    """Inflates messages with a window of `bits`, which no reference may exceed."""

    def __init__(self, bits, takeover):
        self.bits = bits
        self.takeover = takeover
        self.state = None

    def message(self, data, step):
        """Inflates `step` octets at a time, so that zlib can refer only to the window; 0 means all at once."""
        if self.state is None:
            self.state = zlib.decompressobj(-self.bits)
        state = self.state
        parts = [state.decompress(data + TAIL, step)]
        while step and (state.unconsumed_tail or len(parts[-1]) == step):
            parts.append(state.decompress(state.unconsumed_tail, step))
        if state.eof or state.unused_data or state.unconsumed_tail:
            raise AssertionError("there is more after the last block")
        if not self.takeover:
            self.state = None
        return b"".join(parts)
