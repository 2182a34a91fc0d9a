//! The memory that a connection allocates and holds: laws 1 and 10 of the core.

use allocation_counter::measure;
use bowline_proto::{Config, Event, Message, Receiver, RecvBuf, Role, Sender, Transmit};
use bytes::{Buf, Bytes};
use testing::{
    ends::{BOTH, End, LOAN, binary, config, connection, joined, other, payload, read},
    frames::{self, BINARY, CONTINUATION, FIN, Frame, PING, TEXT, wire},
    polls::Polls,
};

fn unlimited(config: &mut Config) {
    config.max_message_size = usize::MAX;
    config.max_fragments = u32::MAX;
}

fn key(role: Role) -> Option<[u8; 4]> {
    (role == Role::Server).then_some(Frame::KEY)
}

// ---- What was announced -------------------------------------------------------------------------

/// The largest length that can be announced: a message that no `usize` could count is refused.
const HUGE: u64 = if usize::BITS < 64 {
    usize::MAX as u64
} else {
    u64::MAX >> 1
};

#[test]
fn an_announced_length_reserves_nothing() {
    for role in BOTH {
        for len in [1 << 20, HUGE.min(1 << 40), HUGE] {
            let mut end = End::with(role, unlimited);
            let header = frames::header(FIN | BINARY, len, key(role));
            let bytes = measure(|| {
                end.receive(&header);
                assert_eq!(end.events(), []);
            })
            .bytes_current;
            assert!(bytes < 512, "{bytes} bytes for {len} announced");
        }
    }
}

#[test]
fn a_message_holds_at_most_twice_what_has_arrived() {
    for role in BOTH {
        for with_loan in [false, true] {
            for step in [1000, 1460, 16 << 10, 100_000] {
                let (mut rx, _tx) = connection(role, &config(unlimited)).split();
                let mut loan = Some(RecvBuf::new(LOAN));
                let header = frames::header(FIN | BINARY, HUGE, key(role));
                let part = vec![7; step];
                let (mut live, mut received) = (0, 0);
                while received < 1 << 20 {
                    live += measure(|| {
                        let bytes = if received == 0 { &header } else { &part };
                        if with_loan {
                            assert!(read(&mut rx, &mut loan, bytes).is_none());
                        } else {
                            let mut bytes = &bytes[..];
                            while !bytes.is_empty() {
                                bytes = &bytes[rx.receive(bytes)..];
                                assert_eq!(rx.poll_event(), Ok(None));
                            }
                        }
                        received += bytes_in(&header, &part, received);
                    })
                    .bytes_current;
                    // Room for one more read, and an eighth more if that completes the message.
                    let most = 2 * received as i64 + (12 << 10);
                    assert!(live <= most, "{live} for {received}");
                }
            }
        }
    }
}

fn bytes_in(header: &[u8], part: &[u8], received: usize) -> usize {
    if received == 0 {
        header.len()
    } else {
        part.len()
    }
}

#[test]
fn fragments_of_one_byte_hold_at_most_twice_what_has_arrived() {
    for role in BOTH {
        let mut end = End::with(role, unlimited);
        let (mut live, mut received) = (0, 0);
        for i in 0..20_000_u32 {
            let opcode = if i == 0 { TEXT } else { CONTINUATION };
            let frame = Frame::new(opcode, "x").from(other(role));
            received += frame.len() as i64;
            live += measure(|| {
                end.receive(&frame);
                assert_eq!(end.conn.poll_event(), Ok(None));
            })
            .bytes_current;
            assert!(live <= 2 * received + 4096, "{live} for {received}");
        }
        // Empty fragments hold nothing at all.
        let frame = Frame::new(CONTINUATION, "").from(other(role));
        let bytes = measure(|| {
            for _ in 0..1000 {
                end.receive(&frame);
                assert_eq!(end.conn.poll_event(), Ok(None));
            }
        })
        .bytes_current;
        assert_eq!(bytes, 0);
    }
}

#[test]
fn a_large_message_is_not_copied_again_and_again_as_it_grows() {
    for role in BOTH {
        let body = vec![7; 4 << 20];
        let wire = Frame::binary(&body).from(other(role));
        let (mut rx, _tx) = connection(role, &config(unlimited)).split();
        let mut loan = Some(RecvBuf::new(LOAN));
        let info = measure(|| {
            let mut got = None;
            for part in wire.chunks(1460) {
                got = read(&mut rx, &mut loan, part).or(got);
            }
            assert!(got == Some(Message::from(body.clone())));
        });
        // Doubling adds up to twice the final size, plus the body itself, created above.
        let most = 4 * body.len() as u64;
        assert!(info.bytes_total <= most, "{} bytes", info.bytes_total);
    }
}

#[test]
fn chunks_hold_no_more_than_one_read() {
    for role in BOTH {
        let mut end = End::with(role, unlimited);
        let part = vec![7; 10_000];
        let mut live = measure(|| {
            end.receive(&frames::header(FIN | BINARY, HUGE, key(role)));
            assert_eq!(end.chunks(), []);
        })
        .bytes_current;
        for _ in 0..1000 {
            live += measure(|| {
                end.receive(&part);
                assert_eq!(end.chunks().len(), 1);
            })
            .bytes_current;
            assert!(live < 1024, "{live} bytes");
        }
    }
}

#[test]
fn a_message_that_is_skipped_holds_nothing() {
    let mut end = End::with(Role::Client, unlimited);
    let part = vec![7; 10_000];
    end.receive(&frames::header(FIN | BINARY, u64::MAX >> 1, None));
    end.receive(&part);
    assert_eq!(end.chunks().len(), 1);
    let bytes = measure(|| {
        for _ in 0..1000 {
            end.receive(&part);
            assert_eq!(end.events(), []);
        }
    })
    .bytes_current;
    assert!(bytes < 1024, "{bytes} bytes");
}

#[test]
fn what_is_discarded_after_a_failure_holds_nothing() {
    let mut end = End::new(Role::Client);
    end.give(&[Frame::new(BINARY, [7; 1000]), Frame::new(0x83, "")]);
    end.write();
    let bytes = measure(|| {
        for _ in 0..100 {
            end.receive(&[7; 10_000]);
            assert_eq!(end.events(), []);
        }
    })
    .bytes_current;
    assert!(bytes <= 0, "{bytes} bytes");
}

#[test]
fn unread_pings_hold_nothing() {
    for role in BOTH {
        let mut end = End::new(role);
        end.give(&[Frame::new(PING, [0; 125])]);
        assert!(end.conn.transmit().is_some());
        let bytes = measure(|| {
            for _ in 0..100_000 {
                end.hear(&[Frame::new(PING, [1; 125])]);
                end.conn.poll_event().unwrap().unwrap();
                end.conn.transmit();
                end.conn.handle_sent(false);
            }
            assert_eq!(end.events(), []);
        })
        .bytes_current;
        assert!(bytes < 1024, "{bytes} bytes");
    }
}

// ---- What is kept -------------------------------------------------------------------------------

#[test]
fn a_small_message_that_is_kept_pins_no_large_block() {
    for role in BOTH {
        for size in [1, 16, 125, 126, 500, 3000] {
            let frames: Vec<_> = (0..60_000 / size.max(60))
                .map(|_| Frame::binary(vec![7; size]))
                .collect();
            let wire = wire(&frames, other(role));
            let (mut rx, _tx) = connection(role, &config(|_| {})).split();
            let mut loan = Some(RecvBuf::new(LOAN));
            let mut kept = None;
            let bytes = measure(|| kept = read(&mut rx, &mut loan, &wire)).bytes_current;
            assert_eq!(kept.map(|message| message.len()), Some(size));
            assert!(bytes <= 4096 + 256, "{bytes} bytes for a message of {size}");
        }
    }
}

#[test]
fn memory_that_is_used_again_shows_nothing_of_what_was_in_it() {
    for role in BOTH {
        for len in [9_000_usize, 60_000, 300_000, 1 << 20] {
            for cut in [len / 2, len - 1] {
                let (mut rx, _tx) = connection(role, &config(unlimited)).split();
                let mut loan = Some(RecvBuf::new(LOAN));
                let frame = |byte: u8| Frame::new(FIN | BINARY, vec![byte; len]).from(other(role));
                for byte in 1..4 {
                    // Dropped at once, so that the next one can reuse the memory.
                    let got = read(&mut rx, &mut loan, &frame(byte));
                    assert_eq!(got, Some(Message::from(vec![byte; len])));
                }
                // A message that was gathered, is then asked for in chunks, and then not at all.
                let whole = frame(4);
                let header = whole.len() - len;
                let (front, back) = whole.split_at(header + cut);
                assert_eq!(read(&mut rx, &mut loan, front), None);
                let chunk = rx.poll_chunk().unwrap();
                let Some(Event::Data(chunk)) = chunk else {
                    panic!("{chunk:?}")
                };
                assert_eq!(chunk.data, Message::from(vec![4; cut]));
                assert_eq!(read(&mut rx, &mut loan, back), None);
                let got = read(&mut rx, &mut loan, &frame(5));
                assert_eq!(got, Some(Message::from(vec![5; len])));
            }
        }
    }
}

#[test]
fn nor_do_fragments_and_chunks_show_it() {
    for role in BOTH {
        for len in [9_000_usize, 60_000] {
            let mut end = End::new(role);
            let again = Frame::binary(vec![9; len]);
            let halves = |frame: Frame| {
                let bytes = frame.from(other(role));
                (bytes[..len / 2].to_vec(), bytes[len / 2..].to_vec())
            };
            assert_eq!(end.give(std::slice::from_ref(&again)).len(), 1);
            // The large fragment comes after another.
            assert_eq!(end.give(&[Frame::new(BINARY, [1; 10])]), []);
            let (front, back) = halves(Frame::new(FIN | CONTINUATION, vec![2; len]));
            end.receive(&front);
            assert_eq!(end.events(), []);
            end.receive(&back);
            let whole = [vec![1; 10], vec![2; len]].concat();
            assert!(end.events() == [Ok(binary(whole))]);

            assert_eq!(end.give(&[again]).len(), 1);
            let (front, back) = halves(Frame::binary(vec![3; len]));
            end.receive(&front);
            let mut chunks = end.chunks();
            end.receive(&back);
            chunks.extend(end.chunks());
            assert!(joined(chunks).0 == [Ok(binary(vec![3; len]))]);
        }
    }
}

#[test]
fn a_large_message_that_is_kept_pins_at_most_twice_its_size() {
    for role in BOTH {
        for size in [20_000, 70_000, 300_001] {
            let wire = Frame::binary(vec![7; size]).from(other(role));
            let (mut rx, _tx) = connection(role, &config(|_| {})).split();
            let mut loan = Some(RecvBuf::new(LOAN));
            let mut kept = None;
            let bytes = measure(|| {
                for part in wire.chunks(1460) {
                    let got = read(&mut rx, &mut loan, part);
                    kept = got.or_else(|| kept.take());
                }
            })
            .bytes_current;
            assert_eq!(kept.map(|message| message.len()), Some(size));
            assert!(bytes <= 2 * size as i64 + 4096, "{bytes} bytes for {size}");
        }
    }
}

// ---- Idle ---------------------------------------------------------------------------------------

#[test]
fn a_server_that_waits_holds_nothing() {
    let config = config(|_| {});
    let mut conn = None;
    assert_eq!(
        measure(|| conn = Some(connection(Role::Server, &config))).bytes_current,
        0
    );
}

#[test]
fn a_client_that_waits_holds_its_masking_keys_only() {
    let config = config(|_| {});
    let mut conn = None;
    let bytes = measure(|| conn = Some(connection(Role::Client, &config))).bytes_current;
    assert!(bytes <= 64 * 4 + 64, "{bytes} bytes");
}

/// Makes an end do a bit of everything, after which it waits.
fn lively(end: &mut End) {
    for _ in 0..3 {
        for size in [0, 10, 5000, 70_000, 1 << 20] {
            end.conn.send(vec![7; size]).unwrap();
        }
        for _ in 0..10_000 {
            end.conn.send(vec![7; 100]).unwrap();
        }
        end.conn.ping(payload("?")).unwrap();
        assert_eq!(end.write().len(), 10_006);
        for size in [0, 10, 5000, 60_000] {
            let half = size / 2;
            end.hear(&[
                Frame::new(BINARY, vec![7; half]),
                Frame::new(PING, "?"),
                Frame::new(FIN | CONTINUATION, vec![7; size - half]),
            ]);
            assert_eq!(end.events().len(), 2);
        }
        end.write();
        // A read without a loan that returns nothing.
        assert!(!end.conn.recv_buf().unwrap().is_empty());
        end.conn.handle_input(0);
        assert_eq!(end.events(), []);
    }
}

#[test]
fn a_connection_that_waits_again_holds_no_buffer() {
    for role in BOTH {
        let mut end = End::new(role);
        // The memory that a thread keeps of large messages does not belong to the connection, and is bounded.
        for _ in 0..4 {
            lively(&mut end);
        }
        let bytes = measure(|| lively(&mut end)).bytes_current;
        // At most the last Ping is held, for its round-trip time.
        assert!(bytes <= 96, "{bytes} bytes");
    }
}

#[test]
fn output_that_never_runs_dry_holds_no_more_than_what_waits() {
    for role in BOTH {
        let mut end = End::new(role);
        let large = Bytes::from(vec![7; 32 << 10]);
        let small = Bytes::from(vec![7; 4000]);
        let bytes = measure(|| {
            for _ in 0..1000 {
                while !end.conn.is_full() {
                    end.conn.send(large.clone()).unwrap();
                    end.conn.send(small.clone()).unwrap();
                }
                end.conn.transmit().unwrap().advance(36_000);
                end.conn.handle_sent(true);
            }
        })
        .bytes_current;
        assert!(bytes < 512 << 10, "{bytes} bytes");
        assert!(end.conn.transmit().is_some());
    }
}

#[test]
fn small_messages_behind_a_full_pipe_hold_little_more_than_the_high_water_mark() {
    for role in BOTH {
        for mark in [10_000, 50_000, 64 << 10, 700_000] {
            let mut end = End::with(role, |config| config.send_high_water = mark);
            // The masking keys are drawn already.
            end.conn.send("a").unwrap();
            end.write();
            let bytes = measure(|| {
                while !end.conn.is_full() {
                    end.conn.send("a".repeat(100)).unwrap();
                }
            })
            .bytes_current;
            let most = if mark < 20_000 {
                mark * 2
            } else {
                mark * 5 / 4
            };
            assert!(bytes < most as i64 + 1000, "{bytes} of {mark}");
        }
    }
}

#[test]
fn a_lent_output_buffer_is_given_back() {
    let (_rx, mut tx): (Receiver, Sender) = connection(Role::Server, &config(|_| {})).split();
    let mut buf: Option<Box<Transmit>> = Some(Box::default());
    let bytes = measure(|| {
        for _ in 0..100 {
            tx.lend(|| buf.take());
            tx.send(Bytes::from_static(b"small")).unwrap();
            let transmit = tx.transmit().unwrap();
            transmit.advance(transmit.remaining());
            buf = tx.take_back();
            assert!(buf.is_some());
            tx.handle_sent(true);
        }
    })
    .bytes_current;
    // The lent memory gathers them all, and only it grew.
    assert!(bytes <= 512, "{bytes} bytes");
    assert_eq!(tx.flushed(), 100);
}

// ---- Copies -------------------------------------------------------------------------------------

#[test]
fn a_server_sends_a_large_message_without_a_copy() {
    let mut end = End::new(Role::Server);
    let shared = Bytes::from(vec![7; 8 << 20]);
    let info = measure(|| {
        end.conn.send(shared.clone()).unwrap();
        while let Some(transmit) = end.conn.transmit() {
            transmit.advance(transmit.chunk().len());
            end.conn.handle_sent(true);
        }
    });
    assert!(info.bytes_total < 4096, "{} bytes", info.bytes_total);
}

#[test]
fn a_client_masks_its_own_message_where_it_is() {
    let mut end = End::new(Role::Client);
    let own = vec![7; 8 << 20];
    let info = measure(|| {
        end.conn.send(own).unwrap();
        while let Some(transmit) = end.conn.transmit() {
            transmit.advance(transmit.chunk().len());
            end.conn.handle_sent(true);
        }
    });
    assert!(info.bytes_total < 64 << 10, "{} bytes", info.bytes_total);
}

#[test]
fn a_client_masks_a_shared_message_piece_by_piece() {
    let mut end = End::new(Role::Client);
    let shared = Bytes::from(vec![7; 8 << 20]);
    let info = measure(|| {
        end.conn.send(shared.clone()).unwrap();
        while let Some(transmit) = end.conn.transmit() {
            transmit.advance(transmit.chunk().len());
            end.conn.handle_sent(true);
        }
    });
    assert!(info.bytes_max < 512 << 10, "{} bytes", info.bytes_max);
}
