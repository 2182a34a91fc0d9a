//! Compression against other implementations, its options, and what it costs.

mod support;

use allocation_counter::measure;
use bowline_proto::{
    Chunk, Config, Event, Kind, Lost, Message, Outgoing, Prepared, ProtocolError, RecvError, Role,
    deflate::{Agreed, Deflate},
};
use bytes::{Buf, Bytes};
use support::{
    BINARY, BOTH, CONTINUATION, End, FIN, Frame, PING, PONG, TEXT, binary, chunk, config,
    deflate::{
        self, Deflater, Inflater, RSV1, Random, USUAL, all, both, compressed, connection, contents,
        json, window,
    },
    held, joined, other, payload,
    rfc1951::Inflate,
    wire,
};

const KIB: u64 = 1 << 10;

// ---- Against other implementations --------------------------------------------------------------

#[test]
fn what_we_send_others_read() {
    for (i, takeover) in [false, true].into_iter().enumerate() {
        for bits in 9..=15 {
            let role = BOTH[usize::from(bits) % 2];
            let level = [1, 2, 6, 9][(usize::from(bits) + i) % 4];
            let agreed = both(bits, takeover);
            let mut end = deflate::end(role, agreed, |config| {
                config.send_frame_size = [None, Some(1), Some(100)][usize::from(bits) % 3];
                let mut options = all();
                options.level = level;
                options.memory_level = 1 + bits % 9;
                config.deflate = Some(options);
            });
            let mut peer = Inflater::new(agreed.send);
            let contents = contents(400, 9000);
            for (i, content) in contents.iter().enumerate() {
                match i % 7 {
                    // In pieces.
                    0 => {
                        for piece in content.chunks(500) {
                            let piece = chunk(Kind::Binary, piece, false);
                            end.conn.send_chunk(piece).unwrap();
                        }
                        let last = chunk(Kind::Binary, "", true);
                        end.conn.send_chunk(last).unwrap();
                    }
                    1 => end.conn.send(Outgoing::plain(content.clone())).unwrap(),
                    _ => end.conn.send(content.clone()).unwrap(),
                }
                if i % 5 == 0 {
                    let messages = peer.messages(&end.write());
                    assert!(messages.last() == Some(content));
                }
            }
        }
    }
}

#[test]
fn long_streams_of_messages_are_read_by_others() {
    for takeover in [false, true] {
        for role in BOTH {
            let agreed = both(15, takeover);
            let mut end = deflate::end(role, agreed, |_| {});
            let mut peer = Inflater::new(agreed.send);
            for content in contents(3000, 1000) {
                end.conn.send(content.clone()).unwrap();
                let messages = peer.messages(&end.write());
                assert!(messages == [content]);
            }
        }
    }
}

#[test]
fn what_others_send_we_read() {
    let mut random = Random(7);
    for takeover in [false, true] {
        for (level, role) in [
            (0, Role::Client),
            (1, Role::Server),
            (6, Role::Client),
            (9, Role::Server),
        ] {
            for chunks in [false, true] {
                let mut end = deflate::end(role, both(15, takeover), |_| {});
                let mut peer = Deflater::new(level, takeover);
                for content in contents(300, 4000) {
                    let plain = random.below(10) == 0;
                    let (bit, data) = match plain {
                        true => (0, content.clone()),
                        false => (RSV1, peer.message(&content)),
                    };
                    let step = 1 + random.below(data.len());
                    let mut frames: Vec<_> = data
                        .chunks(step)
                        .map(|piece| Frame::new(CONTINUATION, piece))
                        .collect();
                    if frames.is_empty() {
                        frames.push(Frame::new(CONTINUATION, ""));
                    }
                    frames[0].first = bit | BINARY;
                    let between = random.below(frames.len() + 1);
                    frames.last_mut().unwrap().first |= FIN;
                    if between < frames.len() {
                        frames.insert(between, Frame::new(PING, "?"));
                    }
                    let wire = wire(&frames, other(role));
                    let mut got = Vec::new();
                    let segment = [1, 7, 1000, usize::MAX][random.below(4)];
                    for part in wire.chunks(segment.min(wire.len())) {
                        end.receive(part);
                        if chunks {
                            got.extend(end.chunks());
                        } else {
                            let whole = |event: Event| event.map(|data| Chunk { data, fin: true });
                            got.extend(end.events().into_iter().map(|event| event.map(whole)));
                        }
                    }
                    let (mut got, rest) = joined(got);
                    got.retain(|event| !matches!(event, Ok(Event::Ping(_))));
                    assert!(got == [Ok(binary(content))]);
                    assert!(rest.is_empty());
                    end.write();
                }
            }
        }
    }
}

#[test]
fn where_the_input_is_cut_makes_no_difference() {
    for role in BOTH {
        let mut peer = Deflater::new(6, true);
        let mut wire = Vec::new();
        for frame in [
            compressed(TEXT, peer.message("κόσμε κόσμε".as_bytes())),
            Frame::new(RSV1 | TEXT, ""),
            Frame::new(PING, "?"),
            Frame::new(
                FIN | CONTINUATION,
                peer.message("κόσμε κόσμε κόσμε".as_bytes()),
            ),
            Frame::text("plain"),
            compressed(TEXT, peer.message("a".repeat(1000).as_bytes())),
            compressed(TEXT, [6]),
        ] {
            wire.extend(frame.from(other(role)));
        }
        let outcome = |cuts: [usize; 2], chunks: [bool; 3]| {
            let mut end = deflate::end(role, USUAL, |_| {});
            let (rest, last) = wire.split_at(cuts[1]);
            let (first, second) = rest.split_at(cuts[0]);
            let mut events = Vec::new();
            for (part, chunked) in [first, second, last].into_iter().zip(chunks) {
                end.receive(part);
                if chunked {
                    events.extend(end.chunks());
                } else {
                    let whole = |event: Event| event.map(|data| Chunk { data, fin: true });
                    events.extend(end.events().into_iter().map(|event| event.map(whole)));
                }
            }
            joined(events).0
        };
        let expected = outcome([0, 0], [false; 3]);
        assert_eq!(expected.len(), 6);
        for first in 0..wire.len() {
            for second in first..wire.len() {
                for chunks in [false, true] {
                    assert_eq!(outcome([first, second], [chunks; 3]), expected);
                }
            }
        }
    }
}

// ---- What is sent plain -------------------------------------------------------------------------

#[test]
fn what_does_not_shrink_is_sent_plain_and_forgotten() {
    for role in BOTH {
        for takeover in [false, true] {
            let agreed = both(15, takeover);
            let mut end = deflate::end(role, agreed, |_| {});
            let mut peer = Inflater::new(agreed.send);
            let random: Vec<u8> = {
                let mut random = Random(3);
                (0..300_000).map(|_| random.next() as u8).collect()
            };
            // Text shrinks by itself, and more by what was sent plain before.
            let noise = |at: usize| random[at..at + 1000].to_vec();
            let text = |at| [vec![b'a'; 2000], noise(at), vec![b'a'; 2000], noise(at)].concat();
            for content in [text(0), random.clone(), text(1000), noise(5000), text(5000)] {
                end.conn.send(content.clone()).unwrap();
                let frames = end.write();
                assert_eq!(frames.len(), 1);
                let plain = content[0] != b'a';
                assert_eq!(frames[0].first & RSV1 == 0, plain);
                assert_eq!(frames[0].payload == content, plain);
                // The peer's window has nothing of the plain ones.
                assert!(peer.messages(&frames) == [content]);
            }
        }
    }
}

#[test]
fn what_is_compressed_is_smaller() {
    let mut plain = 0;
    for len in 0..400 {
        let mut end = deflate::end(Role::Server, USUAL, |_| {});
        let content: Vec<u8> = (0..len).map(|i: u32| (i * i % 83) as u8).collect();
        end.conn.send(content.clone()).unwrap();
        let frames = end.write();
        let smaller = frames[0].payload.len() < content.len();
        assert_eq!(frames[0].first & RSV1 != 0, smaller, "{len}");
        plain += u32::from(!smaller);
    }
    assert!((10..390).contains(&plain), "{plain}");
}

#[test]
fn what_is_compressed_and_not_framed_counts_as_unsent() {
    let mut end = deflate::end(Role::Server, USUAL, |config| {
        config.send_high_water = 1000;
        config.send_frame_size = Some(500);
    });
    end.conn.send(json(60_000)).unwrap();
    let mut full = 0;
    while let Some(transmit) = end.conn.transmit() {
        transmit.advance(transmit.remaining());
        full += u32::from(end.conn.is_full());
        end.conn.handle_sent(true);
    }
    assert!(full > 10, "{full}");
    assert!(!end.conn.is_full());
}

#[test]
fn a_large_message_is_compressed_in_steps() {
    for role in BOTH {
        for takeover in [false, true] {
            let agreed = both(15, takeover);
            let mut end = deflate::end(role, agreed, |_| {});
            let large = Bytes::from(vec![b'a'; 10 << 20]);
            end.conn.send(large.clone()).unwrap();
            assert!(end.conn.is_full());
            // At most one step at a time, and a Pong gets in between.
            let mut bytes = Vec::new();
            let mut calls = 0;
            while let Some(transmit) = end.conn.transmit() {
                assert!(transmit.remaining() < 2000);
                bytes.extend_from_slice(transmit.chunk());
                transmit.advance(transmit.remaining());
                end.conn.handle_sent(true);
                calls += 1;
                if calls == 5 {
                    end.give(&[Frame::new(PING, "?")]);
                }
            }
            assert!(calls >= 80, "{calls} calls");
            let mut frames = Frame::read_all(&bytes, role);
            let pong = frames
                .iter()
                .position(|f| *f == Frame::new(PONG, "?"))
                .unwrap();
            assert!((8..14).contains(&pong), "{pong}");
            frames.remove(pong);
            assert!(!end.conn.is_full());
            assert!(Inflater::new(agreed.send).frames(&frames) == large);
        }
    }
}

#[test]
fn chunks_are_compressed_each_in_a_frame_of_its_own() {
    for role in BOTH {
        let mut end = deflate::end(role, USUAL, |_| {});
        let mut peer = Inflater::new(USUAL.send);
        for pieces in [
            &["", "one ", "", "two ", "three ", ""][..],
            &["one two three"],
            &["", ""],
            &["x", "one two three"],
        ] {
            let (last, first) = pieces.split_last().unwrap();
            for piece in first {
                end.conn
                    .send_chunk(chunk(Kind::Text, piece, false))
                    .unwrap();
                // It can be read at once.
            }
            end.conn.send_chunk(chunk(Kind::Text, last, true)).unwrap();
            let frames = end.write();
            assert_eq!(frames.len(), pieces.len());
            assert_eq!(peer.messages(&frames), [pieces.concat().into_bytes()]);
        }
        // What a frame tells is all of its chunk: nothing waits for the next.
        end.conn
            .send_chunk(chunk(Kind::Binary, [7; 100], false))
            .unwrap();
        let mut conn = deflate::end(other(role), USUAL, |_| {});
        conn.hear(&end.write());
        let got = conn.chunks();
        assert_eq!(got, [Ok(Event::Data(chunk(Kind::Binary, [7; 100], false)))]);
    }
}

// ---- Options ------------------------------------------------------------------------------------

/// What a server with these options makes of `content`.
#[test]
fn a_message_of_one_chunk_is_compressed_as_a_whole_one() {
    let mut end = deflate::end(Role::Server, USUAL, |_| {});
    let whole = Chunk {
        data: Message::from(json(2000)),
        fin: true,
    };
    end.conn.send_chunk(whole).unwrap();
    let frames = end.write();
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0].first, FIN | RSV1 | BINARY);
}

fn sent(options: Deflate, agreed: Agreed, content: &[u8]) -> Vec<Frame> {
    let mut end = deflate::end(Role::Server, agreed, |config| {
        config.deflate = Some(options)
    });
    end.conn.send(content.to_vec()).unwrap();
    end.write()
}

#[test]
fn the_level_trades_size_for_time() {
    let content = json(16 << 10);
    let size = |level| {
        let mut options = all();
        options.level = level;
        sent(options, USUAL, &content)[0].payload.len()
    };
    assert!(size(9) < size(1) * 3 / 4, "{} {}", size(9), size(1));
    assert_eq!(size(0), size(1));
    assert_eq!(size(200), size(9));
    assert_eq!(all().level, 1);
}

#[test]
fn the_window_bounds_how_far_back_is_referred() {
    // What repeats itself at every distance up to 28,000, and packs without that too.
    let mut random = Random(9);
    let mut noise =
        |len: usize| -> Vec<u8> { (0..len).map(|_| 33 + (random.next() % 64) as u8).collect() };
    let mut content = Vec::new();
    for bits in 8..=15 {
        let part = noise(200);
        let between = noise((1 << bits) * 7 / 8 - 200);
        content.extend([part.clone(), between, part].concat());
    }
    let mut farthest = 0;
    for bits in 9..=15 {
        for level in [1, 6] {
            let mut options = all();
            options.level = level;
            let agreed = both(bits, true);
            let frames = sent(options, agreed, &content);
            let mut strict = Inflate::new(15, usize::MAX);
            let payload: Vec<u8> = frames.iter().flat_map(|f| f.payload.clone()).collect();
            assert!(strict.ours(&payload) == content);
            assert!(
                strict.farthest <= 1 << bits,
                "{} for {bits}",
                strict.farthest
            );
            if level == 6 {
                // It is used as far as it goes.
                assert!(strict.farthest > farthest, "{bits}");
                farthest = strict.farthest;
            }
        }
    }
    assert!(farthest > 1 << 14);
}

#[test]
fn small_messages_are_sent_plain() {
    let content = [b'a'; 100];
    for (threshold, plain) in [(0, false), (100, false), (101, true), (usize::MAX, true)] {
        let mut options = Deflate::default();
        options.threshold = threshold;
        let frames = sent(options, USUAL, &content);
        assert_eq!(frames[0].first & RSV1 == 0, plain, "{threshold}");

        let config = config(|config| config.deflate = Some(options));
        let (_rx, mut tx) = connection(Role::Server, USUAL, &config).split();
        tx.lend(|| Some(Box::default()));
        let small = content.to_vec().into();
        assert_eq!(tx.send_small(&small), plain, "{threshold}, the short way");
    }
    assert_eq!(Deflate::default().threshold, 64);
}

// ---- Bombs --------------------------------------------------------------------------------------

/// `mib` MiB of zeros.
fn bomb(mib: usize) -> Vec<u8> {
    let mut peer = Deflater::new(9, true);
    let mut one = peer.message(&vec![0; 1 << 20]);
    one.extend([0, 0, 0xff, 0xff]);
    let mut bomb = one.repeat(mib);
    bomb.truncate(bomb.len() - 4);
    bomb
}

fn frames(data: &[u8], size: usize) -> Vec<Frame> {
    let pieces: Vec<_> = data.chunks(size).collect();
    let count = pieces.len();
    let frame = |(i, piece): (usize, &&[u8])| {
        let first = if i == 0 { RSV1 | BINARY } else { CONTINUATION };
        let fin = if i + 1 == count { FIN } else { 0 };
        Frame::new(fin | first, piece)
    };
    pieces.iter().enumerate().map(frame).collect()
}

#[test]
fn a_bomb_costs_its_own_bytes_and_the_largest_message() {
    let bomb = bomb(1024);
    assert!(bomb.len() < 1100 << 10);
    for role in BOTH {
        for (max, size) in [
            (1 << 20, 32 << 10),
            (1 << 20, 100),
            (1, 32 << 10),
            (100_000, 1),
        ] {
            let mut end = deflate::end(role, USUAL, |config| {
                config.max_message_size = max;
                config.max_fragments = u32::MAX;
            });
            let wire: Vec<_> = frames(&bomb[..bomb.len().min(size * 20_000)], size)
                .iter()
                .map(|frame| frame.from(other(role)))
                .collect();
            let mut errors = Vec::new();
            let info = measure(|| {
                for frame in &wire {
                    let mut rest = &frame[..];
                    while !rest.is_empty() {
                        let room = end.conn.recv_buf().unwrap();
                        let len = room.len().min(rest.len());
                        room[..len].copy_from_slice(&rest[..len]);
                        rest = &rest[len..];
                        end.conn.handle_input(len);
                        match end.conn.poll_event() {
                            Ok(None) => {}
                            Err(error) => errors.push(error),
                            other => panic!("{other:?}"),
                        }
                        let _ = end.conn.poll_event();
                    }
                }
            });
            let error = ProtocolError::MessageTooBig { max: max as u64 };
            assert_eq!(errors, [RecvError::Protocol(error)]);
            let reason = format!("message exceeds max_message_size ({max} bytes)");
            assert_eq!(end.write(), [Frame::close(1009, &reason)]);
            // The state that inflates is counted too, and 16 KiB to read into.
            let most = max as u64 + 64 * KIB + 17 * KIB;
            assert!(
                info.bytes_max <= most,
                "{} for {max}, {size}",
                info.bytes_max
            );
        }
    }
}

#[test]
fn a_message_of_exactly_the_largest_size_is_delivered() {
    for role in BOTH {
        for max in [1, 511, 512, 513, 65_535, 65_536, 65_537, 200_000] {
            for (len, fits) in [(max - 1, true), (max, true), (max + 1, false)] {
                let content: Vec<u8> = json(len.max(10))[..len].to_vec();
                let data = Deflater::new(6, false).message(&content);
                for size in [usize::MAX, 1000] {
                    let mut end = deflate::end(role, USUAL, |config| config.max_message_size = max);
                    let events = end.give(&frames(&data, size));
                    let error = ProtocolError::MessageTooBig { max: max as u64 };
                    let expected = match fits {
                        true => Ok(binary(content.clone())),
                        false => Err(RecvError::Protocol(error)),
                    };
                    assert!(events == [expected], "{len} of {max}");
                }
            }
        }
    }
}

#[test]
fn what_is_wrong_first_is_told_wherever_the_input_is_cut() {
    let max = 3000;
    let too_big = ProtocolError::MessageTooBig { max: max as u64 };
    let stream_too_big = ProtocolError::StreamTooBig { max: max as u64 };
    for role in BOTH {
        for (at, whole, chunks) in [
            (0, ProtocolError::Utf8, ProtocolError::Utf8),
            (max - 1, ProtocolError::Utf8, ProtocolError::Utf8),
            (max, too_big, stream_too_big),
        ] {
            let mut content = json(max + 2000);
            content[at] = 0xFF;
            let data = Deflater::new(6, false).message(&content);
            let wire = compressed(TEXT, data).from(other(role));
            for cut in 0..wire.len() {
                for chunked in [false, true] {
                    let mut end = deflate::end(role, USUAL, |config| {
                        config.max_message_size = max;
                        config.max_stream_size = max as u64;
                    });
                    let mut events = Vec::new();
                    for part in [&wire[..cut], &wire[cut..]] {
                        end.receive(part);
                        if chunked {
                            events.extend(end.chunks().into_iter().filter_map(Result::err));
                        } else {
                            events.extend(end.events().into_iter().filter_map(Result::err));
                        }
                    }
                    let expected = if chunked { chunks } else { whole };
                    assert_eq!(events, [RecvError::Protocol(expected)], "{at}, {cut}");
                }
            }
        }
    }
}

#[test]
fn a_message_may_end_anywhere_in_a_block() {
    // Of one octet over and over, so that much comes of the last bytes of the input.
    let lens = (500..530).chain(16_380..16_660).chain(32_760..32_790);
    for len in lens {
        let content = vec![b'a'; len];
        // RFC 7692 §7.2.3.4: the last block may have BFINAL, and is followed by nothing then.
        let mut last = Vec::with_capacity(200);
        flate2::Compress::new(flate2::Compression::best(), false)
            .compress_vec(&content, &mut last, flate2::FlushCompress::Finish)
            .unwrap();
        for data in [Deflater::new(9, false).message(&content), last] {
            for chunks in [false, true] {
                let mut end = deflate::end(Role::Client, USUAL, |_| {});
                end.hear(&[compressed(TEXT, &data)]);
                let events = if chunks {
                    joined(end.chunks()).0
                } else {
                    end.events()
                };
                let expected = String::from_utf8(content.clone()).unwrap();
                assert!(events == [Ok(support::text(expected))], "{len}");
            }
        }
    }
}

#[test]
fn a_large_compressed_message_shows_nothing_of_memory_that_was_used_before() {
    for role in BOTH {
        let mut end = deflate::end(role, USUAL, |_| {});
        let mut peer = Deflater::new(6, true);
        let mut random = Random(7);
        let noise: Vec<u8> = (0..20_000).map(|_| random.next() as u8).collect();
        for _ in 0..3 {
            let data = peer.message(&noise);
            let len = data.len();
            assert!(end.give(&[Frame::binary(vec![9; len])]).len() == 1);
            let bytes = compressed(BINARY, data).from(other(role));
            end.receive(&bytes[..len / 2]);
            assert_eq!(end.events(), []);
            end.receive(&bytes[len / 2..]);
            assert!(end.events() == [Ok(binary(noise.clone()))]);
        }
    }
}

#[test]
fn chunks_of_a_bomb_are_small_and_hold_no_more_than_one_read() {
    let bomb = bomb(64);
    for role in BOTH {
        let mut end = deflate::end(role, USUAL, |_| {});
        let wire = compressed(BINARY, &bomb).from(other(role));
        let mut total = 0;
        let info = measure(|| {
            for part in wire.chunks(16 << 10) {
                end.receive(part);
                while let Some(Event::Data(chunk)) = end.conn.poll_chunk().unwrap() {
                    assert!(chunk.data.len() <= 16 << 10);
                    total += chunk.data.len();
                }
            }
        });
        assert_eq!(total, 64 << 20);
        assert!(info.bytes_max < 100 * KIB, "{}", info.bytes_max);
        // Skipped, it holds as little.
        let mut end = deflate::end(role, USUAL, |_| {});
        let (first, rest) = wire.split_at(100);
        end.receive(first);
        assert!(matches!(end.conn.poll_chunk(), Ok(Some(_))));
        let info = measure(|| {
            for part in rest.chunks(16 << 10) {
                end.receive(part);
                skip(&mut end);
            }
        });
        assert!(info.bytes_max < 100 * KIB, "{}", info.bytes_max);
        assert_eq!(
            end.give(&[Frame::text("next")]),
            [Ok(support::text("next"))]
        );
    }
}

/// Asks until there is nothing more to skip, and tells how often.
fn skip(end: &mut End) -> usize {
    let mut steps = 1;
    while {
        assert_eq!(end.conn.poll_event(), Ok(None));
        end.conn.is_skipping()
    } {
        assert!(end.conn.recv_buf().is_none(), "it is not at the end");
        steps += 1;
    }
    steps
}

#[test]
fn a_message_is_skipped_in_steps_of_a_chunk() {
    let bomb = bomb(8);
    for role in BOTH {
        for takes_chunks in [false, true] {
            // The smallest are inflated to less than a step.
            for size in [usize::MAX, 1000, 10] {
                let mut end = deflate::end(role, USUAL, |_| {});
                let mut frames = frames(&bomb, size);
                frames.push(Frame::new(PING, "behind"));
                frames.push(Frame::text("next"));
                end.hear(&frames);
                assert!(matches!(end.conn.poll_chunk(), Ok(Some(_))));
                let mut steps = 0;
                let mut event = None;
                while event.is_none() {
                    let info = measure(|| {
                        event = match takes_chunks && steps > 0 {
                            true => end.conn.poll_chunk().unwrap().map(|event| match event {
                                Event::Ping(payload) => Event::Ping(payload),
                                other => panic!("{other:?}"),
                            }),
                            false => end.conn.poll_event().unwrap(),
                        };
                    });
                    // What is inflated is allocated, and dropped.
                    assert!(info.bytes_total < 64 * KIB, "{}", info.bytes_total);
                    assert_eq!(end.conn.is_skipping(), event.is_none());
                    steps += 1;
                }
                assert!((505..=512).contains(&steps), "{steps} for {size}");
                assert_eq!(event, Some(Event::Ping(payload("behind"))));
                assert_eq!(end.events(), [Ok(support::text("next"))]);
            }
        }
    }
}

#[test]
fn an_end_waits_until_a_message_is_skipped_and_so_does_what_is_wrong_with_it() {
    let bomb = bomb(1);
    let content = [&vec![0; 1 << 20][..], &[0xFF]].concat();
    let no_text = Deflater::new(9, true).message(&content);
    for role in BOTH {
        // The transport ends behind half of a message.
        let mut end = deflate::end(role, USUAL, |_| {});
        end.hear(&[Frame::new(RSV1 | BINARY, &bomb)]);
        assert!(matches!(end.conn.poll_chunk(), Ok(Some(_))));
        assert_eq!(end.conn.poll_event(), Ok(None));
        end.conn.handle_eof();
        assert_eq!(skip_to_fault(&mut end), (62, RecvError::Lost(Lost::Eof)));
        // The last octet of a text is none.
        let mut end = deflate::end(role, USUAL, |_| {});
        end.hear(&[compressed(TEXT, &no_text)]);
        assert!(matches!(end.conn.poll_chunk(), Ok(Some(_))));
        let expected = RecvError::Protocol(ProtocolError::Utf8);
        assert_eq!(skip_to_fault(&mut end), (63, expected));
        assert!(!end.conn.is_skipping());
    }
}

/// Skips until that fails, and tells in how many steps.
fn skip_to_fault(end: &mut End) -> (usize, RecvError) {
    let mut steps = 0;
    loop {
        match end.conn.poll_event() {
            Ok(None) => steps += 1,
            other => return (steps, other.unwrap_err()),
        }
        assert!(end.conn.is_skipping());
    }
}

#[test]
fn a_stream_is_bounded_while_it_is_inflated() {
    let bomb = bomb(2);
    for role in BOTH {
        for max in [0, 1000, 65_536, 1_000_000] {
            for skipping in [false, true] {
                let limit = |config: &mut Config| config.max_stream_size = max;
                let mut end = deflate::end(role, USUAL, limit);
                end.hear(&[compressed(BINARY, &bomb)]);
                let mut total = 0;
                let error = loop {
                    match end.conn.poll_chunk() {
                        Ok(Some(Event::Data(chunk))) => total += chunk.data.len() as u64,
                        Err(error) => break error,
                        other => panic!("{other:?}"),
                    }
                    if skipping {
                        break skip_to_fault(&mut end).1;
                    }
                };
                let expected = ProtocolError::StreamTooBig { max };
                assert_eq!(error, RecvError::Protocol(expected));
                assert!(total <= max);
            }
        }
    }
}

#[test]
fn what_is_too_big_is_so_before_what_is_wrong_behind_it_however_it_is_cut() {
    let mut data = Deflater::new(6, false).message(&json(300));
    data.extend([0, 0, 0xFF, 0xFF, 0x07]); // A block of no known type.
    for role in BOTH {
        for (max, expected) in [
            (100, ProtocolError::MessageTooBig { max: 100 }),
            (10_000, ProtocolError::Deflate),
        ] {
            let wire = wire(&[compressed(BINARY, &data)], other(role));
            for cut in [1, 7, 100, usize::MAX] {
                let limit = |config: &mut Config| config.max_message_size = max;
                let mut end = deflate::end(role, USUAL, limit);
                let mut events = Vec::new();
                for part in wire.chunks(cut.min(wire.len())) {
                    end.receive(part);
                    events.extend(end.events());
                }
                let expected = [Err(RecvError::Protocol(expected))];
                assert_eq!(events, expected, "in pieces of {cut}");
            }
        }
    }
}

#[test]
fn a_message_of_which_nothing_was_given_out_can_still_be_had_whole() {
    for role in BOTH {
        let content = json(200_000);
        let data = Deflater::new(6, false).message(&content);
        let (one, two) = data.split_at(data.len() / 2);
        // Whole first: all that was gathered comes in one chunk.
        let mut end = deflate::end(role, USUAL, |_| {});
        assert_eq!(end.give(&[Frame::new(RSV1 | BINARY, one)]), []);
        end.hear(&[Frame::new(FIN | CONTINUATION, two)]);
        let (events, _) = joined(end.chunks());
        assert!(events == [Ok(binary(content.clone()))]);
        // Of what was inflated, all or nearly all is in blocks of 16 KiB by then.
        for len in [1, 2].map(|blocks| blocks << 14) {
            for content in [len - 1, len, len + 1, len + 50].map(json) {
                let data = Deflater::new(6, false).message(&content);
                let (one, two) = data.split_at(data.len() - 1);
                let mut end = deflate::end(role, USUAL, |_| {});
                assert_eq!(end.give(&[Frame::new(RSV1 | BINARY, one)]), []);
                end.hear(&[Frame::new(FIN | CONTINUATION, two)]);
                let (events, _) = joined(end.chunks());
                assert!(events == [Ok(binary(content))]);
            }
        }
        // Chunks first, but none came.
        let mut end = deflate::end(role, USUAL, |_| {});
        end.hear(&[Frame::new(RSV1 | BINARY, "")]);
        assert_eq!(end.chunks(), []);
        end.hear(&[Frame::new(FIN | CONTINUATION, data)]);
        assert!(end.events() == [Ok(binary(content))]);
    }
}

#[test]
fn a_small_message_that_is_kept_pins_no_large_block() {
    let mut end = deflate::end(Role::Server, USUAL, |_| {});
    let data = Deflater::new(6, false).message(&[7; 100]);
    end.give(&[compressed(BINARY, &data)]);
    let mut kept = Vec::new();
    let bytes = held(|| {
        for _ in 0..100 {
            end.hear(&[compressed(BINARY, &data)]);
            kept.push(end.conn.poll_event().unwrap());
        }
        assert_eq!(end.events(), []);
    });
    assert!(bytes < 100 * 300, "{bytes} for 100 messages of 100");
}

// ---- Prepared messages --------------------------------------------------------------------------

fn prepared(content: &[u8], options: Option<Deflate>) -> Prepared {
    let config = config(|config| config.deflate = options);
    Prepared::new(content.to_vec(), &config)
}

/// What the end sends of it.
fn send(end: &mut End, prepared: &Prepared) -> Vec<Frame> {
    end.conn.send(prepared).unwrap();
    end.write()
}

#[test]
fn a_prepared_message_is_shared_by_all_connections_that_can_use_it() {
    let content = json(100_000);
    let prepared = prepared(&content, Some(all()));
    assert!(prepared.message() == &Message::from(content.clone()));
    let config = config(|_| {});
    let mut plain = support::connection(Role::Server, &config);
    let mut small = connection(Role::Server, both(15, false), &config);
    for (conn, frames) in [(&mut plain, false), (&mut small, true)] {
        let mut pointers = Vec::new();
        for _ in 0..20 {
            conn.send(&prepared).unwrap();
            while let Some(transmit) = conn.transmit() {
                pointers.push((transmit.chunk().as_ptr(), transmit.remaining()));
                let frame = Frame::read_all(transmit.chunk(), Role::Server).remove(0);
                let peer = &mut Inflater::new(window(15, false));
                assert_eq!(frame.first & RSV1 != 0, frames);
                assert!(peer.frames(&[frame]) == content);
                transmit.advance(transmit.remaining());
                conn.handle_sent(true);
            }
        }
        assert_eq!(pointers.len(), 20);
        pointers.dedup();
        assert_eq!(pointers.len(), 1, "the same memory each time");
    }
}

#[test]
fn a_prepared_message_costs_no_copy() {
    let prepared = prepared(&json(1 << 20), Some(all()));
    let config = config(|_| {});
    let mut conn = connection(Role::Server, both(15, false), &config);
    let info = measure(|| {
        for _ in 0..10 {
            conn.send(&prepared).unwrap();
            while let Some(transmit) = conn.transmit() {
                transmit.advance(transmit.remaining());
                conn.handle_sent(true);
            }
        }
    });
    assert!(info.bytes_total < 16 * KIB, "{}", info.bytes_total);
}

#[test]
fn a_prepared_message_falls_back_where_its_frames_do_not_fit() {
    // It refers back further than 4 KiB.
    let content = json(20_000);
    let prepared = prepared(&content, Some(all()));
    let sent = send(
        &mut deflate::end(Role::Server, both(15, false), |_| {}),
        &prepared,
    );
    assert_eq!(sent.len(), 1);
    for (what, role, agreed, size) in [
        ("takeover", Role::Server, both(15, true), None),
        ("a smaller window", Role::Server, both(12, false), None),
        ("a client", Role::Client, both(15, false), None),
        ("small frames", Role::Server, both(15, false), Some(100)),
    ] {
        let mut end = deflate::end(role, agreed, |config| config.send_frame_size = size);
        let mut peer = Inflater::new(agreed.send);
        for i in 0..3 {
            let frames = send(&mut end, &prepared);
            assert_eq!(frames.len() > 1, size.is_some(), "{what}");
            assert_eq!(frames[0].first & !FIN, RSV1 | BINARY, "{what}");
            assert!(peer.messages(&frames) == [content.clone()], "{what} {i}");
            end.conn.send(content.clone()).unwrap();
            assert!(
                peer.messages(&end.write()) == [content.clone()],
                "{what} {i}"
            );
        }
        // With takeover the second refers to the first.
        if agreed.send.takeover {
            let again = send(&mut end, &prepared);
            assert!(again[0].payload.len() < sent[0].payload.len() / 2);
        }
    }
    // A window of the options, not of the connection, bounds it.
    let mut options = all();
    options.send.bits = 9;
    let small = self::prepared(&content, Some(options));
    let mut end = deflate::end(Role::Server, both(12, false), |_| {});
    let frames = send(&mut end, &small);
    assert!(Inflater::new(window(9, false)).messages(&frames) == [content.clone()]);
}

#[test]
fn a_prepared_message_is_plain_where_that_is_better() {
    let mut random = Random(5);
    let noise: Vec<u8> = (0..5000).map(|_| random.next() as u8).collect();
    let mut large = Deflate::default();
    large.threshold = 1000;
    for (content, options) in [
        (noise, Some(all())),
        (json(999), Some(large)),
        (json(3000), None),
        (Vec::new(), Some(all())),
    ] {
        let prepared = prepared(&content, options);
        for takeover in [false, true] {
            let mut end = deflate::end(Role::Server, both(15, takeover), |_| {});
            assert!(send(&mut end, &prepared) == [Frame::binary(&content)]);
        }
        // Nothing was agreed on, and a client masks.
        for role in BOTH {
            assert!(send(&mut End::new(role), &prepared) == [Frame::binary(&content)]);
        }
    }
    let text = Prepared::new("text", &Config::new(support::entropy));
    for role in BOTH {
        assert_eq!(send(&mut End::new(role), &text), [Frame::text("text")]);
    }
}

#[test]
fn a_prepared_message_waits_its_turn() {
    let prepared = prepared(&json(3000), Some(all()));
    let mut end = deflate::end(Role::Server, both(15, false), |config| {
        config.send_high_water = 1;
        config.max_send_size = 3000;
    });
    end.conn.send("first").unwrap();
    assert!(end.conn.transmit().is_some());
    end.conn.send(&prepared).unwrap();
    end.conn.ping(payload("last")).unwrap();
    // What is owed overtakes it.
    end.give(&[Frame::new(PING, "?")]);
    let frames = end.write();
    let firsts: Vec<u8> = frames.iter().map(|frame| frame.first).collect();
    assert_eq!(firsts, [FIN | TEXT, PONG, FIN | RSV1 | BINARY, PING]);
    let large = self::prepared(&json(3001), Some(all()));
    let error = bowline_proto::SendError::TooBig { max: 3000 };
    assert_eq!(end.conn.send(&large), Err(error));
    end.conn
        .send_chunk(chunk(Kind::Binary, "a", false))
        .unwrap();
    let error = bowline_proto::SendError::Unfinished;
    assert_eq!(end.conn.send(&prepared), Err(error));
}
