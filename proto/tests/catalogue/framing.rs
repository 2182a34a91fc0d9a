//! Frames that a table cannot describe: exhaustive ones, cuts, misuse.

use std::collections::HashSet;

use bowline_proto::{
    CloseCode, CloseFrame, Config, ConnectionError, ControlPayload, ControlTooLong, Deadline, Role,
    deflate::Deflate,
};
use std::time::Duration;
use testing::{
    catalogue::entries,
    frames::{self, BINARY, CLOSE, CONTINUATION, TEXT},
    polls::Polls,
};

use crate::{
    Test,
    driver::{End, ROLES, config},
    table,
};

pub(crate) const TESTS: &[Test] = &[
    (
        "fr_055_a_message_that_stalls_runs_into_its_deadline",
        fr_055_a_message_that_stalls_runs_into_its_deadline,
    ),
    ("fr_059_cuts_change_nothing", fr_059_cuts_change_nothing),
    ("fr_061_errors_are_latched", fr_061_errors_are_latched),
    (
        "fr_062_every_failure_tells_the_peer",
        fr_062_every_failure_tells_the_peer,
    ),
    (
        "fr_063_masking_keys_are_fresh",
        fr_063_masking_keys_are_fresh,
    ),
    (
        "fr_064_illegal_frames_cannot_be_built",
        fr_064_illegal_frames_cannot_be_built,
    ),
    (
        "fr_065_a_reason_leaves_as_it_is",
        fr_065_a_reason_leaves_as_it_is,
    ),
    ("fr_067_all_first_two_bytes", fr_067_all_first_two_bytes),
];

fn fr_055_a_message_that_stalls_runs_into_its_deadline() {
    let after = Some(Duration::from_secs(3));
    for role in ROLES {
        let stalled = |change: &dyn Fn(&mut Config), deadline, closes: &[u16]| {
            let mut end = End::new(role, &config(change));
            end.frame(TEXT, "Hel");
            end.wait(Duration::from_secs(70));
            assert_eq!(end.errors, [ConnectionError::TimedOut(deadline)]);
            assert_eq!(end.events, []);
            assert_eq!(end.closes(), closes);
            assert!(end.is_closed());
        };
        let message = |config: &mut Config| config.message_timeout = after;
        stalled(&message, Deadline::Message, &[1008]);
        let idle = |config: &mut Config| config.idle_timeout = after;
        stalled(&idle, Deadline::Idle, &[1001]);
        // With the defaults a Ping is sent, and nothing is received.
        stalled(&|_| {}, Deadline::Pong, &[]);
    }
}

fn fr_059_cuts_change_nothing() {
    for entry in entries::load() {
        if !entry.id.starts_with("FR") {
            continue;
        }
        for case in &entry.cases {
            for (role, input) in table::inputs(case) {
                let _context = table::Context::new("FR-059", &entry.id, role, &input);
                let outcome = |cuts: &[usize]| {
                    let mut end = table::start(case, role);
                    let mut from = 0;
                    for cut in cuts {
                        end.copy(&input[from..*cut]);
                        from = *cut;
                    }
                    end.copy(&input[from..]);
                    end.eof();
                    // Keys differ from one run to the next, so the frames are compared unmasked.
                    let sent = end.sent();
                    (end.events, end.errors, sent)
                };
                let whole = outcome(&[]);
                let len = input.len();
                // For a long payload, all of its octets are the same.
                let near = |at: &usize| len <= 200 || *at < 24 || *at > len - 24;
                for first in (0..=len).filter(near) {
                    for second in (first..=len).filter(near) {
                        assert_eq!(outcome(&[first, second]), whole, "cut at {first}, {second}");
                    }
                }
            }
        }
    }
}

fn fr_061_errors_are_latched() {
    for_each_failure(|mut end| {
        for junk in [0x00, 0x81, 0x88, 0xff] {
            let before = (end.events.clone(), end.errors.clone(), end.out.clone());
            end.feed(&vec![junk; 1 << 20]);
            for _ in 0..1000 {
                assert_eq!(end.conn.poll_event(), Ok(None));
                assert_eq!(end.conn.poll_chunk(), Ok(None));
            }
            end.write();
            assert_eq!(
                before,
                (end.events.clone(), end.errors.clone(), end.out.clone())
            );
        }
    });
}

fn fr_062_every_failure_tells_the_peer() {
    let mut codes = HashSet::new();
    for_each_failure(|mut end| {
        let Some(ConnectionError::Protocol(error)) = end.errors.first().copied() else {
            panic!("not the peer's fault: {:?}", end.errors);
        };
        assert_eq!(end.closes(), [error.close_code().get()]);
        assert_eq!(end.sent().last().map(|frame| frame.first), Some(CLOSE));
        codes.extend(end.closes());
        assert!(end.conn.wants_shutdown());
        assert!(end.conn.send("too late").is_err());
        // The peer never ends the transport.
        assert!(!end.is_closed());
        end.wait(Duration::from_secs(5));
        assert!(end.is_closed());
        assert_eq!(end.errors.len(), 1);
    });
    assert_eq!(codes, HashSet::from([1002, 1007, 1009]));
}

/// Calls `check` with an end for every case of the table that fails.
fn for_each_failure(mut check: impl FnMut(End)) {
    for entry in entries::load() {
        for case in &entry.cases {
            let failed = case.expect.error.is_some() && case.expect.close.is_some();
            for (role, input) in table::inputs(case).filter(|_| failed) {
                let _context = table::Context::new(&entry.id, "failed", role, &input);
                let mut end = table::start(case, role);
                end.feed(&input);
                check(end);
            }
        }
    }
}

fn fr_063_masking_keys_are_fresh() {
    let mut end = End::with_defaults(Role::Client);
    for _ in 0..100_000 {
        end.conn.send("a").expect("it is open");
        end.write();
    }
    let mut keys = HashSet::new();
    for key in frames::keys(&end.out) {
        assert_ne!(key, [0; 4]);
        assert!(keys.insert(key), "{key:?} came twice");
    }
    // The source never repeats itself, so neither may the keys.
    assert_eq!(keys.len(), 100_000);
}

fn fr_064_illegal_frames_cannot_be_built() {
    let too_long = |max| Err(ControlTooLong { len: max + 1, max });
    assert_eq!(
        ControlPayload::new(vec![0; 126]),
        too_long(125).map(|()| ControlPayload::default())
    );
    assert!(ControlPayload::new(vec![0; 125]).is_ok());
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, u16::MAX] {
        assert_eq!(CloseCode::new(code), None);
    }
    let reason = CloseFrame::new(CloseCode::NORMAL, "r".repeat(124));
    assert_eq!(reason.map(drop), too_long(123));
    assert!(CloseFrame::new(CloseCode::NORMAL, "r".repeat(123)).is_ok());
    // A character that would be cut counts whole.
    assert!(CloseFrame::new(CloseCode::NORMAL, "r".repeat(122) + "é").is_err());
}

fn fr_065_a_reason_leaves_as_it_is() {
    for role in ROLES {
        for reason in ["", "a", "bye, κόσμε"] {
            let mut end = End::with_defaults(role);
            let code = CloseCode::new(3007).expect("a valid code");
            let frame = CloseFrame::new(code, reason).expect("short");
            end.conn.close(Some(frame));
            end.write();
            let sent = end.sent();
            assert_eq!(sent.len(), 1);
            assert_eq!(sent[0].payload, [&[0x0b, 0xbf], reason.as_bytes()].concat());
        }
    }
}

fn fr_067_all_first_two_bytes() {
    for (role, compression) in ROLES
        .into_iter()
        .flat_map(|role| [(role, false), (role, true)])
    {
        for begun in [None, Some(TEXT), Some(BINARY)] {
            let config = config(|config| {
                config.deflate = compression.then(Deflate::default);
            });
            for first in 0..=255 {
                for second in 0..=255 {
                    let mut end = End::new(role, &config);
                    if let Some(opcode) = begun {
                        end.copy(&end.wire(opcode, "a"));
                    }
                    let verdict = Verdict::of(role, begun, compression, first, second);
                    end.copy(&[first]);
                    let known = end.errors.len();
                    end.copy(&[second]);
                    let got = match (end.errors.as_slice(), end.events.len()) {
                        ([], 0) => Verdict::More,
                        ([], 1) => Verdict::Event,
                        ([ConnectionError::Protocol(error)], 0) => {
                            assert_eq!(error.close_code(), CloseCode::PROTOCOL_ERROR);
                            if known == 1 {
                                Verdict::First
                            } else {
                                Verdict::Second
                            }
                        }
                        other => panic!("{first:#x} {second:#x}: {other:?}"),
                    };
                    assert_eq!(got, verdict, "{role:?} {begun:?} {first:#x} {second:#x}");
                }
            }
        }
    }
}

/// The verdict on the first two bytes of a frame.
#[derive(Debug, Eq, PartialEq)]
enum Verdict {
    /// 1002 at the first byte, or at the second.
    First,
    Second,
    /// The frame is complete, and something is delivered.
    Event,
    /// Nothing happens yet.
    More,
}

impl Verdict {
    /// The verdict of RFC 6455 and RFC 7692 alone.
    fn of(role: Role, begun: Option<u8>, compression: bool, first: u8, second: u8) -> Self {
        let (fin, rsv, opcode) = (first >> 7 == 1, first >> 4 & 7, first & 0xf);
        let (masked, len) = (second >> 7 == 1, second & 0x7f);
        let control = opcode >= 8;
        // RFC 7692 §6: only on the first frame of a message.
        let compressed = compression && rsv == 4 && matches!(opcode, TEXT | BINARY);
        let first_fails = rsv != 0 && !compressed // §5.2: "MUST be 0 unless … negotiated".
            // §5.2: "%x3-7 are reserved", "%xB-F are reserved".
            || !matches!(opcode, 0..=2 | 8..=10)
            || control && !fin // §5.5: "MUST NOT be fragmented".
            || opcode == CONTINUATION && begun.is_none() // §5.4
            || matches!(opcode, TEXT | BINARY) && begun.is_some(); // §5.4
        if first_fails {
            return Self::First;
        }
        let second_fails = masked != (role == Role::Server) // §5.1
            || control && len > 125; // §5.5: "125 bytes or less".
        if second_fails {
            return Self::Second;
        }
        // Without a key and without a payload, the frame ends here; a fragment alone is no event.
        if len == 0 && !masked && (fin || control) {
            Self::Event
        } else {
            Self::More
        }
    }
}
