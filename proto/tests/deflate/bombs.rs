//! Bombs: small inputs that inflate to large outputs.

use allocation_counter::measure;
use bowline_proto::{ConnectionError, ProtocolError, Role};
use testing::{
    ends::{
        BOTH, binary,
        deflate::{self, Deflater, Random, USUAL, compressed, json},
        joined, other, text,
    },
    frames::{BINARY, CONTINUATION, FIN, Frame, RSV1, TEXT},
    polls::Polls,
};

use crate::KIB;

/// `mib` MiB of zeros.
pub(crate) fn bomb(mib: usize) -> Vec<u8> {
    let mut peer = Deflater::new(9, true);
    let mut one = peer.message(&vec![0; 1 << 20]);
    one.extend([0, 0, 0xff, 0xff]);
    let mut bomb = one.repeat(mib);
    bomb.truncate(bomb.len() - 4);
    bomb
}

pub(crate) fn frames(data: &[u8], size: usize) -> Vec<Frame> {
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
            assert_eq!(errors, [ConnectionError::Protocol(error)]);
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
                        false => Err(ConnectionError::Protocol(error)),
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
                    assert_eq!(events, [ConnectionError::Protocol(expected)], "{at}, {cut}");
                }
            }
        }
    }
}

#[test]
fn a_message_may_end_anywhere_in_a_block() {
    // One octet repeats, so that the last bytes of the input inflate to a lot.
    let lens = (500..530).chain(16_380..16_660).chain(32_760..32_790);
    for len in lens {
        let content = vec![b'a'; len];
        // RFC 7692 §7.2.3.4: the last block may have BFINAL; nothing follows it then.
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
                assert!(events == [Ok(text(expected))], "{len}");
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
        let noise: Vec<u8> = (0..20_000).map(|_| random.draw() as u8).collect();
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
