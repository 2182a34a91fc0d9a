//! Compression that a table cannot describe: bombs, floods, and what we send.

use std::{
    sync::{Arc, Barrier, Mutex},
    thread,
};

use allocation_counter::measure;
use bowline_proto::{
    Chunk, Config, Connection, ConnectionError, Event, Instant, Message, Negotiated, Outgoing,
    ProtocolError, Role, SendError,
    deflate::{Agreed, Deflate, Window},
};
use bytes::Buf;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use testing::frames::{BINARY, CLOSE, CONTINUATION, FIN, Frame, RSV1};

use crate::{
    Test,
    driver::{End, ROLES, config},
};

pub(crate) const TESTS: &[Test] = &[
    (
        "pd_021_bombs_cost_the_largest_message_at_most",
        pd_021_bombs_cost_the_largest_message_at_most,
    ),
    (
        "pd_022_fragments_of_a_bomb_are_counted_together",
        pd_022_fragments_of_a_bomb_are_counted_together,
    ),
    (
        "pd_023_large_messages_leave_nothing_behind",
        pd_023_large_messages_leave_nothing_behind,
    ),
    (
        "pd_024_empty_blocks_cost_what_they_weigh",
        pd_024_empty_blocks_cost_what_they_weigh,
    ),
    (
        "pd_025_codes_for_nothing_cost_what_they_weigh",
        pd_025_codes_for_nothing_cost_what_they_weigh,
    ),
    ("pd_027_any_bit_may_be_wrong", pd_027_any_bit_may_be_wrong),
    (
        "pd_028_nothing_refers_beyond_the_window",
        pd_028_nothing_refers_beyond_the_window,
    ),
    (
        "pd_030_with_8_bits_we_send_plain_messages",
        pd_030_with_8_bits_we_send_plain_messages,
    ),
    (
        "pd_035_states_are_kept_with_takeover_only",
        pd_035_states_are_kept_with_takeover_only,
    ),
    (
        "pd_036_what_is_given_up_half_way_is_never_followed",
        pd_036_what_is_given_up_half_way_is_never_followed,
    ),
    (
        "pd_037_two_threads_send_whole_messages",
        pd_037_two_threads_send_whole_messages,
    ),
    ("pd_039_we_send_nothing", pd_039_we_send_nothing),
    (
        "pd_040_a_secret_is_never_compressed",
        pd_040_a_secret_is_never_compressed,
    ),
];

const KIB: u64 = 1 << 10;

fn compressing(change: impl FnOnce(&mut Config)) -> Arc<Config> {
    config(|config| {
        let mut options = Deflate::default();
        options.threshold = 0;
        config.deflate = Some(options);
        change(config);
    })
}

fn without_takeover(config: &mut Config) {
    if let Some(options) = &mut config.deflate {
        options.send.takeover = false;
        options.recv.takeover = false;
    }
}

/// Returns the output of another library, with the tail still on.
fn flushed(content: &[u8], level: u32) -> Vec<u8> {
    let mut state = Compress::new(Compression::new(level), false);
    let mut out = Vec::with_capacity(content.len() + 100);
    let done = state.compress_vec(content, &mut out, FlushCompress::Sync);
    done.expect("room");
    out
}

fn deflated(content: &[u8]) -> Vec<u8> {
    let mut out = flushed(content, 9);
    out.truncate(out.len() - 4);
    out
}

/// Inflates what we sent, message after message.
struct Peer(Decompress);

impl Peer {
    fn new() -> Self {
        Self(Decompress::new(false))
    }

    /// Returns the messages in everything that `end` has sent.
    fn messages(&mut self, end: &End) -> Vec<Vec<u8>> {
        self.read(&end.out, end.role)
    }

    fn read(&mut self, out: &[u8], sender: Role) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        let (mut payload, mut compressed) = (Vec::new(), false);
        for frame in Frame::read_all(out, sender) {
            if frame.opcode() >= 8 {
                assert_eq!(frame.first & RSV1, 0);
                continue;
            }
            if frame.opcode() != CONTINUATION {
                compressed = frame.first & RSV1 != 0;
                payload.clear();
            }
            let is_last = frame.is_last();
            payload.extend(frame.payload);
            if !is_last {
                continue;
            }
            if compressed {
                payload.extend([0, 0, 0xff, 0xff]);
                let mut out = Vec::with_capacity(1 << 20);
                let done = self
                    .0
                    .decompress_vec(&payload, &mut out, FlushDecompress::Sync);
                done.expect("valid data");
                messages.push(out);
            } else {
                messages.push(payload.clone());
            }
        }
        messages
    }
}

/// Feeds frames of 32 KiB one after the other.
fn feed_frames(end: &mut End, data: &[u8], size: usize) {
    let count = data.len().div_ceil(size);
    for (i, piece) in data.chunks(size).enumerate() {
        let first = if i == 0 { RSV1 | BINARY } else { CONTINUATION };
        let fin = if i + 1 == count { FIN } else { 0 };
        end.frame(fin | first, piece);
    }
}

fn bomb(mib: usize) -> Vec<u8> {
    let mut bomb = flushed(&vec![0; 1 << 20], 9).repeat(mib);
    bomb.truncate(bomb.len() - 4);
    bomb
}

fn pd_021_bombs_cost_the_largest_message_at_most() {
    for role in ROLES {
        for mib in [1, 64, 1024] {
            let bomb = bomb(mib);
            let max = (1 << 20) - 1;
            let mut end = End::new(role, &compressing(|config| config.max_message_size = max));
            let memory = measure(|| feed_frames(&mut end, &bomb, 32 << 10));
            let error = ProtocolError::MessageTooBig { max: max as u64 };
            assert_eq!(end.errors, [ConnectionError::Protocol(error)]);
            assert_eq!(end.closes(), [1009]);
            // Beside the message: 64 KiB, and the frame, both on its way and read.
            let most = (1 << 20) + 64 * KIB + 100 * KIB;
            assert!(memory.bytes_max <= most, "{memory:?}");
        }
    }
}

fn pd_022_fragments_of_a_bomb_are_counted_together() {
    let bomb = bomb(2);
    for role in ROLES {
        let mut end = End::new(
            role,
            &compressing(|config| config.max_message_size = 100_000),
        );
        let memory = measure(|| feed_frames(&mut end, &bomb, 1));
        let error = ProtocolError::MessageTooBig { max: 100_000 };
        assert_eq!(end.errors, [ConnectionError::Protocol(error)]);
        assert!(memory.bytes_max <= 100_000 + 96 * KIB, "{memory:?}");
    }
}

fn pd_023_large_messages_leave_nothing_behind() {
    let data = deflated(&vec![7; 1 << 16]);
    for role in ROLES {
        let mut end = End::new(
            role,
            &compressing(|config| config.max_message_size = 1 << 16),
        );
        let round = |end: &mut End| {
            end.frame(FIN | RSV1 | BINARY, &data);
            assert!(matches!(end.events.pop(), Some(Event::Data(m)) if m.len() == 1 << 16));
        };
        round(&mut end);
        let memory = measure(|| (0..1000).for_each(|_| round(&mut end)));
        assert_eq!(memory.bytes_current, 0);
        assert!(memory.bytes_max < 256 * KIB, "{memory:?}");
    }
}

fn pd_024_empty_blocks_cost_what_they_weigh() {
    for role in ROLES {
        let mut data = [0, 0, 0, 0xff, 0xff].repeat(200_000);
        data.push(0);
        let mut end = End::new(role, &compressing(|_| {}));
        end.frame(FIN | RSV1 | BINARY, "");
        end.events.clear();
        let memory = measure(|| end.frame(FIN | RSV1 | BINARY, &data));
        assert_eq!(end.events, [Event::Data(Vec::new().into())]);
        // The frame that is fed, and nothing that grows.
        assert!(memory.bytes_max < 3 * data.len() as u64, "{memory:?}");
        // The same with streams that end.
        let data = [3, 0].repeat(200_000);
        end.events.clear();
        end.frame(FIN | RSV1 | BINARY, &data);
        assert_eq!(end.events, [Event::Data(Vec::new().into())]);
    }
}

fn pd_025_codes_for_nothing_cost_what_they_weigh() {
    // A block with dynamic codes that contains nothing but its end: 286 lengths of 9 or 8 bits, a code for one
    // distance. It is written bit by bit.
    let mut bits = Vec::new();
    let mut put = |value: u32, count: u32| bits.extend((0..count).map(|i| value >> i & 1 == 1));
    put(0, 1);
    put(2, 2);
    put(0, 5); // 257 lengths of literals.
    put(0, 5); // One of distances.
    put(18 - 4, 4);
    // The code of lengths: 1 for 18 (many zeros) and for 1.
    for symbol in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1] {
        put(u32::from(matches!(symbol, 18 | 1)), 3);
    }
    // Codes in their order: 1 is `0`, 18 is `1`. 138 and 118 zeros, then the end and one distance.
    put(1, 1);
    put(127, 7);
    put(1, 1);
    put(118 - 11, 7);
    put(0, 1);
    put(0, 1);
    // The end of the block.
    put(0, 1);
    let block: Vec<bool> = bits;
    let mut bits: Vec<bool> = Vec::new();
    for _ in 0..50_000 {
        bits.extend(&block);
    }
    // An empty stored block's header, and padding.
    bits.extend([false; 3]);
    bits.resize(bits.len().next_multiple_of(8), false);
    let data: Vec<u8> = bits
        .chunks(8)
        .map(|byte| {
            byte.iter()
                .rev()
                .fold(0, |value, bit| value << 1 | u8::from(*bit))
        })
        .collect();
    for role in ROLES {
        let mut end = End::new(role, &compressing(|_| {}));
        let memory = measure(|| end.frame(FIN | RSV1 | BINARY, &data));
        assert_eq!(end.errors, []);
        assert_eq!(end.events, [Event::Data(Vec::new().into())]);
        assert!(
            memory.bytes_max < 3 * data.len() as u64 + 64 * KIB,
            "{memory:?}"
        );
    }
}

fn pd_027_any_bit_may_be_wrong() {
    let content: Vec<u8> = (0..1024_u32).map(|i| (i * i % 251) as u8).collect();
    let data = deflated(&content);
    let (mut fine, mut corrupt) = (0, 0);
    for role in ROLES {
        let config = compressing(|config| config.max_message_size = 10_000);
        for bit in 0..data.len() * 8 {
            let mut data = data.clone();
            data[bit / 8] ^= 1 << (bit % 8);
            let mut end = End::new(role, &config);
            end.frame(FIN | RSV1 | BINARY, &data);
            match (end.events.as_slice(), end.errors.as_slice()) {
                ([Event::Data(message)], []) => {
                    assert!(message.len() <= 10_000);
                    fine += 1;
                }
                ([], [ConnectionError::Protocol(ProtocolError::Deflate)]) => {
                    assert_eq!(end.closes(), [1007]);
                    corrupt += 1;
                }
                ([], [ConnectionError::Protocol(ProtocolError::MessageTooBig { .. })]) => {}
                other => panic!("bit {bit}: {other:?}"),
            }
        }
    }
    assert!(fine > 0 && corrupt > 0, "{fine}, {corrupt}");
}

/// Returns a server that agreed on this window.
fn with_window(bits: u8, takeover: bool) -> End {
    let config = compressing(|config| {
        if let Some(options) = &mut config.deflate {
            options.send = Window { bits, takeover };
            options.level = 6;
        }
    });
    End::new(Role::Server, &config)
}

fn pd_028_nothing_refers_beyond_the_window() {
    for bits in 9..=15 {
        // The same 100 bytes come again after as much noise as the window is long. Without a reference to them, the
        // second message is as long as the noise and these bytes.
        let noise = |seed: u64, len: usize| -> Vec<u8> {
            let mut state = seed | 1;
            (0..len)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    (state >> 32) as u8 & 0x3f | 0x40
                })
                .collect()
        };
        let part = noise(1, 100);
        let mut sizes = Vec::new();
        // The repetition lies just outside the window; and well inside, if there is room for that.
        for between in [1 << bits, (1 << bits) / 4] {
            let mut end = with_window(bits, true);
            end.conn
                .send([&part[..], &noise(2, between)].concat())
                .expect("it is open");
            end.write();
            let before = end.out.len();
            end.conn
                .send([&part[..], &noise(3, 500)].concat())
                .expect("it is open");
            end.write();
            sizes.push(end.out.len() - before);
            let messages = Peer::new().messages(&end);
            assert_eq!(messages.len(), 2);
            assert_eq!(messages[1][..100], part);
        }
        assert!(sizes[1] + 60 < sizes[0], "{bits}: {sizes:?}");
    }
}

fn pd_030_with_8_bits_we_send_plain_messages() {
    let config = compressing(|_| {});
    let now = Instant::EPOCH;
    let mut negotiated = Negotiated::default();
    let window = |bits| Window {
        bits,
        takeover: true,
    };
    negotiated.deflate = Some(Agreed {
        send: window(8),
        recv: window(15),
    });
    let conn = Connection::new(Role::Client, negotiated, config.clone());
    let mut end = End::from_parts(conn, Role::Client, now);
    end.conn.send(vec![7; 1000]).expect("it is open");
    let chunk = Chunk {
        data: Message::from("piece"),
        fin: false,
    };
    end.conn.send_chunk(chunk).expect("it is open");
    end.write();
    // Its reader finds no compressed bit.
    let sent = end.sent();
    assert_eq!(sent[0].payload, [7; 1000]);
    assert_eq!(sent[1].payload, b"piece");
    end.frame(FIN | RSV1 | BINARY, deflated(&[7; 1000]));
    assert_eq!(end.events, [Event::Data(vec![7; 1000].into())]);
}

/// A message each way.
fn talk(end: &mut End, data: &[u8]) {
    end.conn.send(vec![7; 1000]).expect("it is open");
    end.frame(FIN | RSV1 | BINARY, data);
    end.events = Vec::new();
    end.out = Vec::new();
}

/// For both directions, with some margin.
const STATES: i64 = 420 << 10;

fn pd_035_states_are_kept_with_takeover_only() {
    let data = deflated(&[7; 1000]);
    for role in ROLES {
        for takeover in [true, false] {
            let config = compressing(|config| {
                if !takeover {
                    without_takeover(config);
                }
            });
            let mut ends: Vec<End> = (0..=100).map(|_| End::new(role, &config)).collect();
            talk(&mut ends[0], &data);
            let memory = measure(|| ends[1..].iter_mut().for_each(|end| talk(end, &data)));
            // Up to 32 states of each kind may come from the pool or go there, because other tests use it as well.
            let kept = 32 * STATES;
            let states = if takeover {
                100 * STATES - kept..100 * STATES
            } else {
                -kept..kept
            };
            let bytes = memory.bytes_current;
            assert!(states.contains(&bytes), "{bytes} bytes");
        }
    }
}

fn pd_036_what_is_given_up_half_way_is_never_followed() {
    for role in ROLES {
        let large = Message::from(b"all work and no play ".repeat(50_000));
        // A chunk that was not the last, and then a Close: nothing follows it.
        let mut end = End::new(role, &compressing(|_| {}));
        let chunk = Chunk {
            data: large.clone(),
            fin: false,
        };
        end.conn.send_chunk(chunk).expect("it is open");
        assert_eq!(end.conn.send("next"), Err(SendError::Unfinished));
        end.conn.close(None);
        end.write();
        let (close, data) = sent_in_part(&end);
        assert_eq!(close.first, CLOSE);
        assert!(!data.iter().any(Frame::is_last));
        // The peer goes away while the message is half compressed: nothing of it follows the Close.
        let mut end = End::new(role, &compressing(|_| {}));
        end.writable = false;
        end.conn.send(large).expect("it is open");
        end.frame(CLOSE, [0x03, 0xe8]);
        end.writable = true;
        end.write();
        let (close, data) = sent_in_part(&end);
        assert_eq!(close, Frame::close(1000, ""));
        assert!(data.len() < 5 && !data.iter().any(Frame::is_last));
    }
}

/// Returns the Close that `end` has sent, and the frames of the compressed message before it.
fn sent_in_part(end: &End) -> (Frame, Vec<Frame>) {
    let mut sent = Frame::read_all(&end.out, end.role);
    let close = sent.pop().expect("a Close");
    let compressed = sent.iter().map(|frame| frame.first & RSV1 != 0);
    assert!(compressed.eq((0..sent.len()).map(|i| i == 0)), "RSV1");
    (close, sent)
}

fn pd_037_two_threads_send_whole_messages() {
    const COUNT: usize = 200;
    let End { conn, .. } = End::new(Role::Server, &compressing(|_| {}));
    let (_rx, tx) = conn.split();
    let (tx, start) = (Mutex::new(tx), Barrier::new(2));
    let text = |thread: usize, i: usize| format!("{thread}:{i}:{}", "lorem ipsum ".repeat(i));
    thread::scope(|scope| {
        for number in 0..2 {
            let (tx, start) = (&tx, &start);
            scope.spawn(move || {
                start.wait();
                for i in 0..COUNT {
                    let mut tx = tx.lock().expect("no panic");
                    tx.send(text(number, i)).expect("it is open");
                }
            });
        }
    });
    let mut tx = tx.into_inner().expect("no panic");
    let mut out = Vec::new();
    while let Some(transmit) = tx.transmit() {
        out.extend_from_slice(transmit.chunk());
        transmit.advance(transmit.chunk().len());
        tx.handle_sent(true);
    }
    let messages = Peer::new().read(&out, Role::Server);
    let mut next = [0; 2];
    for message in &messages {
        let number = usize::from(message[0] - b'0');
        assert_eq!(*message, text(number, next[number]).into_bytes());
        next[number] += 1;
    }
    assert_eq!(next, [COUNT; 2]);
}

fn pd_039_we_send_nothing() {
    for role in ROLES {
        let mut end = End::new(role, &compressing(|_| {}));
        let piece = |text: &'static str, fin| Chunk { data: text, fin };
        end.conn.send("").expect("it is open");
        let pieces: [&[_]; 4] = [&[""], &["", ""], &["", "a", ""], &["", "", "b"]];
        for pieces in pieces {
            for (i, text) in pieces.iter().enumerate() {
                let fin = i + 1 == pieces.len();
                end.conn.send_chunk(piece(text, fin)).expect("it is open");
            }
        }
        end.conn.send("c").expect("it is open");
        end.write();
        let messages = Peer::new().messages(&end);
        assert_eq!(messages, [&b""[..], b"", b"", b"a", b"b", b"c"]);
    }
}

fn pd_040_a_secret_is_never_compressed() {
    for role in ROLES {
        let secret = "the password is swordfish, ".repeat(10);
        // A later message is as long as if the secret had not been sent.
        let size = |first: Option<Outgoing>| {
            let mut end = End::new(role, &compressing(|_| {}));
            if let Some(first) = first {
                end.conn.send(first).expect("it is open");
                end.write();
            }
            let before = end.out.len();
            end.conn.send(secret.clone()).expect("it is open");
            end.write();
            end.out.len() - before
        };
        let alone = size(None);
        assert_eq!(size(Some(Outgoing::uncompressed(secret.clone()))), alone);
        assert!(size(Some(secret.clone().into())) < alone);
    }
}
