//! Two connections, a link between them and a manual clock. Every scenario runs with segments of 1, 2, 3, 7 and 100
//! octets and whole, in each way to drive a connection.

use std::time::Duration;

use bowline_proto::{
    CloseCode, ConnectionError, Deadline, Event, Initiator, Kind, Lost, Message, ProtocolError,
    Role, State,
};
use testing::{
    ends::{
        BOTH, chunk, close_frame,
        node::{Node, SEGMENTS, WAYS, Way, everywhere},
        other,
        pair::{Pair, Side},
        payload, secs,
    },
    frames::FIN,
};

/// Octets that depend on their position, so that none can be lost or moved unnoticed.
fn body(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + (i >> 8) * 7) as u8).collect()
}

fn big(config: &mut bowline_proto::Config) {
    config.max_message_size = 64 << 20;
}

/// Text of exactly `len` octets with characters of all lengths.
fn prose(len: usize) -> String {
    let mut text = "aß€𝄞".repeat(len / 10);
    text.push_str(&"z".repeat(len - text.len()));
    text
}

// ---- Messages -----------------------------------------------------------------------------------

#[test]
fn messages_of_all_small_sizes_go_both_ways() {
    let sizes = [0, 1, 2, 3, 4, 5, 15, 16, 17, 124, 125, 126, 127, 128, 1000];
    everywhere(
        |_| {},
        |pair| {
            let mut sent = Vec::new();
            for size in sizes {
                for message in [Message::from(body(size)), Message::from(prose(size))] {
                    pair.client.send(message.clone()).unwrap();
                    pair.server.send(message.clone()).unwrap();
                    sent.push(message);
                }
            }
            pair.settle();
            assert_eq!(pair.server.messages(), sent);
            assert_eq!(pair.client.messages(), sent);
        },
    );
}

/// Sends one message of each size in each direction, and compares the results.
fn carry(segment: usize, way: Way, chunks: bool, sizes: impl IntoIterator<Item = usize>) {
    for size in sizes {
        let mut pair = Pair::new(segment, way, big);
        pair.client.chunks = chunks;
        pair.server.chunks = chunks;
        let message = match size % 2 {
            0 => Message::from(body(size)),
            _ => Message::from(prose(size)),
        };
        pair.client.send(message.clone()).unwrap();
        pair.server.send(message.clone()).unwrap();
        pair.client.send("behind").unwrap();
        pair.server.send("behind").unwrap();
        pair.settle();
        for node in [&pair.client, &pair.server] {
            let got = node.messages();
            let place = format!("{size} bytes to a {:?}, by {segment}, {way:?}", node.role);
            assert_eq!(got.len(), 2, "{place}");
            assert!(got[0] == message, "{place}");
            assert_eq!(got[1].as_text(), Some("behind"));
        }
    }
}

#[test]
fn messages_of_boundary_sizes_go_both_ways_in_small_segments() {
    for way in WAYS {
        // From 20 KiB on a frame is read straight into its message.
        carry(1, way, false, [(20 << 10) + 9]);
        carry(2, way, false, [16 << 10]);
        carry(3, way, true, [16 << 10]);
        carry(7, way, false, [65_536]);
    }
}

#[test]
fn messages_of_boundary_sizes_go_both_ways_in_large_segments() {
    let around = |size: usize| {
        [
            size - 15,
            size - 14,
            size - 4,
            size - 1,
            size,
            size + 1,
            size + 9,
        ]
    };
    for way in WAYS {
        for segment in [100, 1500, 4096, 16 << 10, usize::MAX] {
            for chunks in [false, true] {
                carry(segment, way, chunks, around(4096));
                carry(segment, way, chunks, around(16 << 10));
                carry(segment, way, chunks, around(20 << 10));
                carry(segment, way, chunks, around(65_536));
                carry(segment, way, chunks, around(128 << 10));
            }
        }
    }
}

#[test]
fn messages_around_the_size_of_the_loan() {
    // Headers have 10 or 14 octets here. Frames that fill the loan to the last octet are among these.
    carry(usize::MAX, Way::Loan, false, 131_050..131_100);
    carry(usize::MAX, Way::Loan, false, (131_066..134_000).step_by(67));
    carry(usize::MAX, Way::Loan, true, (131_066..131_080).step_by(2));
    carry(131_072, Way::Loan, false, 131_060..131_080);
}

#[test]
fn a_message_of_one_mebibyte_and_what_follows_it() {
    for way in WAYS {
        carry(1500, way, false, [1 << 20]);
        carry(usize::MAX, way, false, [1 << 20, (1 << 20) + 1]);
        carry(usize::MAX, way, true, [1 << 20]);
    }
}

#[test]
fn messages_that_are_fragmented() {
    for size in [1, 2, 9, 100] {
        everywhere(
            |config| config.send_frame_size = Some(size),
            |pair| {
                let sent = [0, 1, 2, 99, 100, 101, 300].map(|len| Message::from(prose(len)));
                for message in &sent {
                    pair.client.send(message.clone()).unwrap();
                    pair.server.send(message.clone()).unwrap();
                }
                pair.settle();
                assert_eq!(pair.server.messages(), sent);
                assert_eq!(pair.client.messages(), sent);
                for frame in pair.client.frames() {
                    assert!(frame.payload.len() <= size);
                }
            },
        );
    }
}

#[test]
fn large_messages_that_are_fragmented() {
    for (segment, way) in [(1500, Way::Buf), (usize::MAX, Way::Loan), (9000, Way::Copy)] {
        for size in [4095, 4096, 65_536, 70_001] {
            let mut pair = Pair::new(segment, way, |config| {
                config.send_frame_size = Some(size);
            });
            for node in [&mut pair.client, &mut pair.server] {
                node.send(body(300_000)).unwrap();
                node.send(prose(200_001)).unwrap();
            }
            pair.settle();
            for node in [&pair.client, &pair.server] {
                assert!(node.messages() == [body(300_000).into(), prose(200_001).into()]);
            }
        }
    }
}

#[test]
fn messages_that_are_streamed() {
    everywhere(
        |_| {},
        |pair| {
            pair.client.chunks = true;
            let parts = ["", "strea", "", "med in pieces, ", "ä€𝄞", ""];
            for node in [&mut pair.client, &mut pair.server] {
                for (i, part) in parts.iter().enumerate() {
                    let fin = i + 1 == parts.len();
                    node.send_chunk(chunk(Kind::Text, part, fin)).unwrap();
                }
                node.send(vec![1, 2, 3]).unwrap();
            }
            pair.settle();
            let whole = [Message::from(parts.concat()), vec![1, 2, 3].into()];
            assert_eq!(pair.server.messages(), whole);
            assert_eq!(pair.client.messages(), whole);
        },
    );
}

#[test]
fn chunks_that_arrive_while_a_message_is_still_being_sent() {
    everywhere(
        |_| {},
        |pair| {
            pair.server.chunks = true;
            let mut sent = Vec::new();
            for i in 0..20_u8 {
                pair.client
                    .send_chunk(chunk(Kind::Binary, [i; 33], i == 19))
                    .unwrap();
                sent.extend([i; 33]);
                pair.settle();
            }
            assert_eq!(pair.server.messages(), [Message::from(sent)]);
        },
    );
}

#[test]
fn control_frames_between_fragments() {
    everywhere(
        |config| config.send_high_water = 1,
        |pair| {
            for node in [&mut pair.client, &mut pair.server] {
                node.send_chunk(chunk(Kind::Text, "one ", false)).unwrap();
                node.ping(payload("a")).unwrap();
                node.send_chunk(chunk(Kind::Text, "two ", false)).unwrap();
                node.ping(payload([9; 125])).unwrap();
                node.send_chunk(chunk(Kind::Text, "three", true)).unwrap();
            }
            pair.settle();
            for node in [&pair.client, &pair.server] {
                let mut pings = Vec::new();
                let mut pongs = Vec::new();
                for event in node.events() {
                    match event.unwrap() {
                        Event::Ping(payload) => pings.push(payload),
                        Event::Pong(payload) => pongs.push(payload),
                        Event::Data(data) => assert_eq!(data.as_text(), Some("one two three")),
                        other => panic!("{other:?}"),
                    }
                }
                assert_eq!(pings, [payload("a"), payload([9; 125])]);
                assert_eq!(pongs.last(), Some(&payload([9; 125])));
                assert_eq!(node.messages().len(), 1);
            }
        },
    );
}

#[test]
fn both_ends_send_a_lot_over_a_narrow_link() {
    for way in WAYS {
        for (segment, window) in [(100, 100), (1000, 4096), (usize::MAX, 4096)] {
            let mut pair = Pair::new(segment, way, big);
            pair.set_window(window);
            for node in [&mut pair.client, &mut pair.server] {
                for len in [50_000, 10, 100_000] {
                    node.send(body(len)).unwrap();
                    node.ping(payload("?")).unwrap();
                }
            }
            pair.settle();
            for node in [&pair.client, &pair.server] {
                let got = node.messages();
                assert!(got == [body(50_000), body(10), body(100_000)].map(Message::from));
            }
        }
    }
}

// ---- Closing ------------------------------------------------------------------------------------

#[test]
fn either_end_closes() {
    for role in BOTH {
        everywhere(
            |_| {},
            |pair| {
                pair.side(role).send("last words").unwrap();
                pair.side(role).close(Some(close_frame(1001, "off")));
                pair.side(other(role)).send("crossing").unwrap();
                pair.settle();
                pair.assert_clean();
                assert_eq!(pair.side(other(role)).messages().len(), 1);
                for node in [&pair.client, &pair.server] {
                    let closed = node.closed().unwrap();
                    assert_eq!((closed.code, closed.reason.as_str()), (1001, "off"));
                    let ours = node.role == role;
                    let by = [Initiator::Peer, Initiator::Local][usize::from(ours)];
                    assert_eq!(closed.initiator, by);
                }
            },
        );
    }
}

#[test]
fn a_close_without_a_body() {
    for role in BOTH {
        everywhere(
            |_| {},
            |pair| {
                pair.side(role).close(None);
                pair.settle();
                pair.assert_clean();
                assert_eq!(pair.client.closed().unwrap().code, 1005);
                assert_eq!(pair.server.closed().unwrap().code, 1005);
            },
        );
    }
}

/// The actions of one end, in order; `true` is a Close, `false` a write and a read.
const STEPS: [bool; 4] = [false, true, false, false];

#[test]
fn both_ends_close_in_all_interleavings() {
    for way in WAYS {
        for segment in [3, usize::MAX] {
            // Each bit says which end acts.
            for turns in 0..1_u32 << (2 * STEPS.len() + 2) {
                let mut pair = Pair::new(segment, way, |_| {});
                pair.client.send("from the client").unwrap();
                pair.server.send("from the server").unwrap();
                let mut done = [0, 0];
                for bit in 0..2 * STEPS.len() + 2 {
                    let role = BOTH[(turns >> bit & 1) as usize];
                    let done = &mut done[(turns >> bit & 1) as usize];
                    match STEPS.get(*done) {
                        Some(true) => {
                            let code = [1000, 1001][usize::from(role == Role::Server)];
                            pair.side(role).close(Some(close_frame(code, "")));
                        }
                        Some(false) => {
                            pair.write(role);
                            pair.read(role);
                        }
                        None => {}
                    }
                    *done += 1;
                }
                pair.client.close(Some(close_frame(1000, "")));
                pair.server.close(Some(close_frame(1001, "")));
                pair.settle();
                pair.assert_clean();
            }
        }
    }
}

#[test]
fn a_close_in_the_middle_of_a_streamed_message() {
    everywhere(
        |_| {},
        |pair| {
            let begun = chunk(Kind::Text, "begun", false);
            pair.client.send_chunk(begun.clone()).unwrap();
            pair.client.close(Some(close_frame(1011, "")));
            pair.server.send_chunk(begun).unwrap();
            pair.settle();
            pair.assert_clean();
            assert_eq!(pair.server.messages(), [], "half a message is none");
        },
    );
}

#[test]
fn without_reply_to_close_an_end_finishes_first() {
    for role in BOTH {
        everywhere(
            |config| config.reply_to_close = false,
            |pair| {
                pair.side(role).close(Some(close_frame(1000, "done")));
                pair.settle();
                let peer = pair.side(other(role));
                assert_eq!(peer.state(), State::Closing);
                peer.send("still").unwrap();
                peer.send("here").unwrap();
                pair.settle();
                let texts: Vec<_> = pair.side(role).messages();
                assert_eq!(texts, [Message::from("still"), Message::from("here")]);
                pair.side(other(role)).close(Some(close_frame(4000, "too")));
                pair.settle();
                pair.assert_clean();
                assert_eq!(pair.side(role).closed().unwrap().code, 4000);
                assert_eq!(pair.side(other(role)).closed().unwrap().code, 1000);
            },
        );
    }
}

// ---- Limits -------------------------------------------------------------------------------------

#[test]
fn a_message_beyond_a_limit_ends_both_sides_with_its_code() {
    type Limit = fn(&mut bowline_proto::Config);
    let limits: [(Limit, ProtocolError, u16); 3] = [
        (
            |config| config.max_message_size = 500,
            ProtocolError::MessageTooBig { max: 500 },
            1009,
        ),
        (
            |config| config.max_frame_size = Some(99),
            ProtocolError::FrameTooBig { max: 99 },
            1009,
        ),
        (
            |config| config.max_fragments = 5,
            ProtocolError::TooManyFragments { max: 5 },
            1008,
        ),
    ];
    for (limit, error, code) in limits {
        for role in BOTH {
            everywhere(
                |config| {
                    config.send_frame_size = Some(100);
                    limit(config);
                },
                |pair| {
                    pair.side(role).send("fine").unwrap();
                    pair.side(role).send(body(501)).unwrap();
                    pair.settle();
                    pair.assert_over();
                    let strict = pair.side(other(role));
                    assert_eq!(strict.errors(), [ConnectionError::Protocol(error)]);
                    assert_eq!(strict.messages().len(), 1);
                    assert!(!strict.closed().unwrap().clean);
                    let told = pair.side(role);
                    assert_eq!(told.errors(), [], "the Close arrived");
                    assert_eq!(told.closed().unwrap().code, code);
                    assert_eq!(told.closed().unwrap().reason, *error.to_string());
                },
            );
        }
    }
}

#[test]
fn a_streamed_message_beyond_its_limit() {
    everywhere(
        |config| {
            config.max_stream_size = 500;
            config.max_message_size = 1;
        },
        |pair| {
            pair.server.chunks = true;
            pair.client.send(body(500)).unwrap();
            pair.settle();
            assert_eq!(pair.server.messages(), [Message::from(body(500))]);
            pair.client.send(body(501)).unwrap();
            pair.settle();
            let error = ProtocolError::StreamTooBig { max: 500 };
            assert_eq!(pair.server.errors(), [ConnectionError::Protocol(error)]);
            assert_eq!(pair.client.closed().unwrap().code, 1009);
        },
    );
}

// ---- Time ---------------------------------------------------------------------------------------

#[test]
fn an_idle_connection_stays_open() {
    everywhere(
        |_| {},
        |pair| {
            pair.pass(secs(4 * 3600));
            for node in [&pair.client, &pair.server] {
                assert_eq!(node.state(), State::Open);
                assert_eq!(node.errors(), []);
            }
            // The first Ping proves to both ends that the other is alive; each end asks again after one to two
            // periods of silence.
            let pings = pair.client.frames().len() + pair.server.frames().len();
            assert!((2 * 360..=4 * 720).contains(&pings), "{pings} frames");
        },
    );
}

#[test]
fn a_peer_that_is_gone_is_noticed() {
    for role in BOTH {
        everywhere(
            |_| {},
            |pair| {
                // This end neither reads nor answers, and the link takes everything.
                pair.side(other(role)).port.reads = false;
                pair.pass(secs(39));
                assert_eq!(pair.side(role).state(), State::Open);
                pair.pass(secs(41));
                let node = pair.side(role);
                assert_eq!(node.errors(), [ConnectionError::TimedOut(Deadline::Pong)]);
                assert_eq!(node.state(), State::Closed);
                let closed = node.closed().unwrap();
                assert_eq!((closed.code, closed.clean), (1006, false));
            },
        );
    }
}

#[test]
fn latency_is_the_time_a_ping_took() {
    everywhere(
        |config| config.keep_alive = None,
        |pair| {
            pair.client.ping(payload("probe")).unwrap();
            pair.drive_one(Role::Client);
            pair.now = pair.now.checked_add(Duration::from_millis(80)).unwrap();
            pair.settle();
            assert_eq!(pair.client.latency(), Some(Duration::from_millis(80)));
            assert_eq!(pair.server.latency(), None);
        },
    );
}

#[test]
fn a_close_that_is_not_answered_ends_by_the_deadline() {
    for role in BOTH {
        everywhere(
            |_| {},
            |pair| {
                pair.side(other(role)).port.reads = false;
                pair.side(role).close(None);
                pair.pass(Duration::from_millis(4999));
                assert_eq!(pair.side(role).state(), State::Closing);
                pair.pass(Duration::from_millis(1));
                let node = pair.side(role);
                assert_eq!(node.errors(), [ConnectionError::TimedOut(Deadline::Close)]);
                assert_eq!(node.state(), State::Closed);
            },
        );
    }
}

#[test]
fn a_peer_that_keeps_the_transport_open_after_its_close_is_left_by_the_deadline() {
    everywhere(
        |_| {},
        |pair| {
            pair.server.close(None);
            // The client answers, and then never ends its direction.
            while pair.write(Role::Server) {}
            while pair.read(Role::Client) {}
            while pair.write(Role::Client) {}
            while pair.read(Role::Server) {}
            assert_eq!(pair.server.state(), State::Closing);
            pair.client.port.reads = false;
            pair.pass(secs(5));
            assert_eq!(pair.server.state(), State::Closed);
            assert_eq!(pair.server.errors(), []);
            assert!(pair.server.closed().unwrap().clean);
        },
    );
}

#[test]
fn output_that_nobody_takes_fails_by_the_write_deadline() {
    for role in BOTH {
        everywhere(
            |config| config.keep_alive = None,
            |pair| {
                pair.set_window(300);
                pair.side(other(role)).port.reads = false;
                pair.side(role).send(body(1000)).unwrap();
                pair.pass(Duration::from_millis(19_999));
                assert_eq!(pair.side(role).state(), State::Open);
                pair.pass(Duration::from_millis(1));
                let node = pair.side(role);
                assert_eq!(node.errors(), [ConnectionError::TimedOut(Deadline::Write)]);
                assert_eq!(node.state(), State::Closed);
            },
        );
    }
}

#[test]
fn output_that_leaves_slowly_does_not_fail() {
    everywhere(
        |config| config.keep_alive = None,
        |pair| {
            pair.set_window(100);
            pair.client.send(body(1000)).unwrap();
            for _ in 0..10 {
                pair.server.port.reads = false;
                pair.pass(secs(19));
                pair.server.port.reads = true;
                // The link is read once: it takes up to 100 octets more.
                while !pair.server.port.link.is_empty() && pair.read(Role::Server) {}
            }
            pair.settle();
            assert_eq!(pair.server.messages(), [Message::from(body(1000))]);
            assert_eq!(pair.client.state(), State::Open);
        },
    );
}

#[test]
fn a_message_that_never_ends_fails_by_the_message_deadline() {
    everywhere(
        |config| config.message_timeout = Some(secs(30)),
        |pair| {
            for i in 0..30 {
                assert_eq!(pair.server.errors(), [], "after {i} s");
                let drop = chunk(Kind::Text, "drip", false);
                pair.client.send_chunk(drop).unwrap();
                pair.pass(secs(1));
            }
            assert_eq!(
                pair.server.errors(),
                [ConnectionError::TimedOut(Deadline::Message)]
            );
            pair.assert_over();
            assert_eq!(pair.client.closed().unwrap().code, 1008);
        },
    );
}

#[test]
fn a_peer_without_data_is_sent_away_by_the_idle_deadline() {
    everywhere(
        |config| config.idle_timeout = Some(secs(600)),
        |pair| {
            for _ in 0..10 {
                pair.client.send("busy").unwrap();
                pair.server.send("busy").unwrap();
                pair.pass(secs(599));
            }
            assert_eq!(pair.server.errors(), []);
            // From now on only the server sends messages; Pings and Pongs continue.
            while pair.server.state() == State::Open {
                pair.server.send("anybody?").unwrap();
                pair.pass(secs(400));
            }
            pair.assert_over();
            assert_eq!(
                pair.server.errors(),
                [ConnectionError::TimedOut(Deadline::Idle)]
            );
            assert_eq!(pair.client.errors(), []);
            assert_eq!(pair.client.closed().unwrap().code, 1001);
        },
    );
}

// ---- The end, everywhere ------------------------------------------------------------------------

/// Sends messages and a Ping in each direction, and then a Close from the client.
fn converse(pair: &mut Pair<Node>) {
    for node in [&mut pair.client, &mut pair.server] {
        node.send("one").unwrap();
        node.send_chunk(chunk(Kind::Text, "two", false)).unwrap();
        node.send_chunk(chunk(Kind::Text, "!", true)).unwrap();
        node.ping(payload("?")).unwrap();
        node.send(body(100)).unwrap();
    }
    pair.client.close(Some(close_frame(1000, "bye")));
}

/// The link breaks when the server has read `cut` octets. It counts what was read; what comes after it never
/// arrives.
fn cut(cut: usize, segment: usize, way: Way, chunks: bool, lost: Lost) -> bool {
    let mut pair = Pair::new(segment, way, |_| {});
    pair.server.chunks = chunks;
    converse(&mut pair);
    while pair.write(Role::Client) {}
    let all = pair.server.port.link.len();
    pair.server.port.link.truncate(cut);
    while !pair.server.port.link.is_empty() && pair.read(Role::Server) {}
    match lost {
        Lost::Eof => {
            pair.server.port.link.end(pair.now);
            while pair.read(Role::Server) {
                if pair.server.port.link.is_empty() {
                    break;
                }
            }
        }
        lost => pair.server.reset(lost),
    }
    pair.server.poll();
    let whole = cut == all;
    let errors = pair.server.errors();
    if whole {
        assert_eq!(errors, [], "the Close was received");
    } else {
        assert_eq!(errors, [ConnectionError::Lost(lost)], "cut at {cut}");
    }
    let mut expected = vec![
        Ok(Event::Data(Message::from("one"))),
        Ok(Event::Data(Message::from("two!"))),
        Ok(Event::Ping(payload("?"))),
        Ok(Event::Data(Message::from(body(100)))),
        Ok(Event::Close(Some(close_frame(1000, "bye")))),
    ];
    let mut got = pair.server.events();
    if !whole {
        got.pop();
        expected.truncate(got.len());
    }
    assert_eq!(got, expected, "cut at {cut}");
    // All frames that were complete before the cut are events: 2 + 1, 6 + 3 and so on, masked.
    let ends = [9, 9 + 9 + 7, 25 + 7, 32 + 106, 138 + 11];
    assert_eq!(got.len(), ends.iter().filter(|end| **end <= cut).count());
    while pair.write(Role::Server) {}
    assert_eq!(pair.server.state(), State::Closed);
    assert_eq!(
        pair.server.closed().unwrap().clean,
        whole && lost == Lost::Eof
    );
    whole
}

#[test]
fn the_transport_ends_after_every_octet() {
    for lost in [Lost::Eof, Lost::Reset] {
        for way in WAYS {
            for segment in SEGMENTS {
                let mut at = 0;
                while !cut(at, segment, way, at % 2 == 0, lost) {
                    at += 1;
                }
                assert_eq!(at, 149);
            }
        }
    }
}

#[test]
fn an_end_that_fails_tells_the_other_and_both_end() {
    for role in BOTH {
        everywhere(
            |_| {},
            |pair| {
                pair.side(role).send("fine").unwrap();
                pair.settle();
                // An intermediary adds a frame with a reserved opcode.
                let key: &[u8] = if role == Role::Client { &[0; 4] } else { &[] };
                let head = [FIN | 0x3, if role == Role::Client { 0x80 } else { 0 }];
                let now = pair.now;
                let strict = pair.side(other(role));
                strict.port.link.put(&[&head, key].concat(), now);
                strict.send("unsent or not").unwrap();
                pair.settle();
                pair.assert_over();
                let error = ConnectionError::Protocol(ProtocolError::Opcode(3));
                assert_eq!(pair.side(other(role)).errors(), [error]);
                assert_eq!(pair.side(role).errors(), []);
                assert_eq!(
                    pair.side(role).closed().unwrap().code,
                    CloseCode::PROTOCOL_ERROR.get()
                );
            },
        );
    }
}
