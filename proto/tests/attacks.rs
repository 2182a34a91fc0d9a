//! The memory that a peer can make us hold: for each attack, the promised bound and the measured peak, in bytes on
//! the heap for one connection.
//!
//! ```sh
//! cargo test -p bowline-proto --all-features --test attacks -- --nocapture
//! ```

use allocation_counter::measure;
use bowline_proto::{
    Config, ConnectionError, Event, Message, ProtocolError, Role,
    handshake::{Client, Request, Server},
};
use testing::{
    ends::{
        End, config, connection,
        deflate::{self, Deflater, USUAL, compressed},
        other,
    },
    frames::{self, BINARY, CONTINUATION, FIN, Frame, PING, TEXT},
    polls::Polls,
};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// A read without a loan, for which the driver would need memory of its own: 16 KiB.
const READ: u64 = 16 * KIB;

struct Attack {
    what: &'static str,
    /// The reason for this bound.
    promise: &'static str,
    bound: u64,
    run: fn(Role) -> u64,
}

const ATTACKS: &[Attack] = &[
    Attack {
        what: "opens a connection and says nothing",
        promise: "a client's masking keys",
        bound: 320,
        run: idle,
    },
    Attack {
        what: "half a handshake that drips",
        promise: "max_head_size, twice while it grows, and a read",
        bound: 2 * 16 * KIB + READ,
        run: half_a_handshake,
    },
    Attack {
        what: "announces 2^63-1 bytes",
        promise: "what has come",
        bound: 512,
        run: announced,
    },
    Attack {
        what: "empty fragments without end",
        promise: "nothing for each, max_fragments of them",
        bound: 512,
        run: empty_fragments,
    },
    Attack {
        what: "fragments of one byte",
        promise: "twice what has come",
        bound: 2 * 16 * KIB + 512,
        run: tiny_fragments,
    },
    Attack {
        what: "a frame of 1 MiB that drips",
        promise: "twice what has come",
        bound: 2 * MIB + 4 * KIB,
        run: dripping,
    },
    Attack {
        what: "Pings, and never reads",
        promise: "three control frames",
        bound: KIB + KIB / 2,
        run: pings,
    },
    Attack {
        what: "never reads what is sent to it",
        promise: "send_high_water and a message more, here of 64 KiB",
        bound: 2 * 64 * KIB + 4 * KIB,
        run: never_reads,
    },
    Attack {
        what: "a bomb beyond the limit",
        promise: "max_message_size, a state of 46 KiB, 64 KiB",
        bound: MIB + (46 + 64) * KIB,
        run: bomb,
    },
    Attack {
        what: "a bomb of just the limit",
        promise: "twice max_message_size while it is joined, a state, 64 KiB",
        bound: 2 * MIB + (46 + 64) * KIB,
        run: bomb_of_just_the_limit,
    },
    Attack {
        what: "a bomb that is taken piece by piece",
        promise: "pieces of 16 KiB, a state",
        bound: (3 * 16 + 46) * KIB,
        run: bomb_in_pieces,
    },
    Attack {
        what: "breaks a rule and goes on",
        promise: "one read of it",
        bound: 64 * KIB + KIB,
        run: goes_on,
    },
    Attack {
        what: "100,000 messages of one byte, all kept: each",
        promise: "64 bytes",
        bound: 64,
        run: kept,
    },
    Attack {
        what: "one message of one byte of many, kept",
        promise: "a block of 4 KiB",
        bound: 4 * KIB + 256,
        run: one_kept,
    },
    Attack {
        what: "a server's head without end",
        promise: "max_head_size, twice while it grows, and a read",
        bound: 2 * 16 * KIB + READ + 4 * KIB,
        run: a_response_without_end,
    },
];

#[test]
fn every_attack_stays_below_its_bound() {
    let mut over = Vec::new();
    println!("| attack | promised | bytes | peak, as client | as server |");
    println!("| --- | --- | ---: | ---: | ---: |");
    for attack in ATTACKS {
        let [client, server] = [Role::Client, Role::Server].map(|role| (attack.run)(role));
        println!(
            "| {} | {} | {} | {client} | {server} |",
            attack.what, attack.promise, attack.bound
        );
        if client.max(server) > attack.bound {
            over.push(attack.what);
        }
    }
    assert!(over.is_empty(), "{over:?}");
}

/// Returns the most memory that was held at a time while `run` ran.
fn peak(run: impl FnOnce()) -> u64 {
    measure(run).bytes_max
}

fn wire(role: Role, frame: &Frame) -> Vec<u8> {
    frame.from(other(role))
}

fn idle(role: Role) -> u64 {
    let config = config(|_| {});
    peak(|| drop(connection(role, &config)))
}

fn half_a_handshake(_: Role) -> u64 {
    let config = config(|_| {});
    let line = "x".repeat(8000);
    let head = format!("GET / HTTP/1.1\r\nX: {line}\r\nY: {line}");
    let mut server = Server::new(config.clone());
    peak(|| {
        for byte in head.bytes() {
            server.exchange().recv_buf().unwrap()[0] = byte;
            server.exchange().handle_input(1);
            assert!(server.poll().unwrap().is_none());
        }
    })
}

fn a_response_without_end(_: Role) -> u64 {
    let config = config(|_| {});
    let request = Request::new("a.test", "/").unwrap();
    let mut client = Client::new(request, config.clone()).unwrap();
    let line = [&[b'x'; 8000][..], b":\r\n"].concat();
    peak(|| {
        let start = b"HTTP/1.1 200 OK\r\n".iter();
        let mut endless = start.chain(line.iter().cycle());
        loop {
            let room = client.exchange().recv_buf().unwrap();
            room.fill_with(|| *endless.next().unwrap());
            let len = room.len();
            client.exchange().handle_input(len);
            if client.poll().is_err() {
                return;
            }
        }
    })
}

fn announced(role: Role) -> u64 {
    let mut end = End::with(role, |config| config.max_message_size = usize::MAX);
    let key = (role == Role::Server).then_some(Frame::KEY);
    let header = frames::header(FIN | BINARY, u64::MAX >> 1, key);
    peak(|| {
        end.receive(&header);
        assert_eq!(end.events(), []);
    })
}

/// Receives frames of one message until it has too many, with one read for each.
fn fragments(role: Role, payload: &str) -> u64 {
    let mut end = End::new(role);
    let first = wire(role, &Frame::new(TEXT, payload));
    let next = wire(role, &Frame::new(CONTINUATION, payload));
    peak(|| {
        end.receive(&first);
        assert_eq!(end.conn.poll_event(), Ok(None));
        for _ in 1..16_384 {
            end.receive(&next);
            assert_eq!(end.conn.poll_event(), Ok(None));
        }
        end.receive(&next);
        let max = 16_384;
        let error = ProtocolError::TooManyFragments { max };
        assert_eq!(end.conn.poll_event(), Err(ConnectionError::Protocol(error)));
    })
}

fn empty_fragments(role: Role) -> u64 {
    fragments(role, "")
}

fn tiny_fragments(role: Role) -> u64 {
    fragments(role, "x")
}

fn dripping(role: Role) -> u64 {
    let mut end = End::new(role);
    let frame = wire(role, &Frame::binary(vec![7; MIB as usize]));
    peak(|| {
        for byte in &frame[..frame.len() - 1] {
            end.receive(&[*byte]);
            assert_eq!(end.conn.poll_event(), Ok(None));
        }
    })
}

fn pings(role: Role) -> u64 {
    let mut end = End::new(role);
    let ping = wire(role, &Frame::new(PING, [7; 125]));
    peak(|| {
        for _ in 0..100_000 {
            end.receive(&ping);
            assert!(matches!(end.conn.poll_event(), Ok(Some(Event::Ping(_)))));
            end.conn.transmit();
            end.conn.handle_sent(false);
        }
    })
}

fn never_reads(role: Role) -> u64 {
    let mut end = End::new(role);
    peak(|| {
        while !end.conn.is_full() {
            end.conn.send(vec![7; 64 << 10]).unwrap();
        }
        for _ in 0..1000 {
            assert!(end.conn.is_full());
            end.conn.transmit();
            end.conn.handle_sent(false);
        }
    })
}

/// A compressed message of `count` zeros.
fn zeros(count: u64) -> Frame {
    let content = vec![0; count as usize];
    compressed(BINARY, Deflater::new(9, true).message(&content))
}

/// Receives `frame` in reads of 1,460 bytes, and returns the peak.
fn inflate(role: Role, frame: &Frame, most: usize, chunks: bool) -> u64 {
    let mut end = deflate::end(role, USUAL, |config: &mut Config| {
        config.max_message_size = most;
    });
    let bytes = wire(role, frame);
    peak(|| {
        for part in bytes.chunks(1460) {
            end.receive(part);
            loop {
                let polled = match chunks {
                    true => end.conn.poll_chunk().map(|event| event.is_some()),
                    false => end.conn.poll_event().map(|event| event.is_some()),
                };
                match polled {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(ConnectionError::Protocol(ProtocolError::MessageTooBig { .. })) => return,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    })
}

fn bomb(role: Role) -> u64 {
    inflate(role, &zeros(64 * MIB), MIB as usize, false)
}

fn bomb_of_just_the_limit(role: Role) -> u64 {
    inflate(role, &zeros(MIB), MIB as usize, false)
}

fn bomb_in_pieces(role: Role) -> u64 {
    inflate(role, &zeros(64 * MIB), MIB as usize, true)
}

fn goes_on(role: Role) -> u64 {
    let mut end = End::new(role);
    assert_eq!(end.give(&[Frame::new(0x83, "")]).len(), 1);
    end.write();
    let more = vec![7; 64 << 10];
    peak(|| {
        for _ in 0..1000 {
            end.receive(&more);
            assert_eq!(end.conn.poll_event(), Ok(None));
        }
    })
}

/// Receives `count` messages of one byte, keeps some, and returns the bytes that they hold.
fn keep(role: Role, count: usize, keeps: fn(usize) -> bool) -> u64 {
    let mut end = End::new(role);
    let wire = wire(role, &Frame::binary([7])).repeat(1000);
    let mut kept: Vec<Message> = Vec::with_capacity(count);
    let held = measure(|| {
        let mut seen = 0;
        while seen < count {
            end.receive(&wire);
            while let Ok(Some(Event::Data(message))) = end.conn.poll_event() {
                if keeps(seen) {
                    kept.push(message);
                }
                seen += 1;
            }
        }
    });
    held.bytes_current as u64 / kept.len() as u64
}

fn kept(role: Role) -> u64 {
    keep(role, 100_000, |_| true)
}

fn one_kept(role: Role) -> u64 {
    keep(role, 100_000, |seen| seen == 5_000)
}
