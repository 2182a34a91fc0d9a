//! §5.1 and §5.3: masking by role, and the keys.

use bowline_proto::{Kind, ProtocolError, Role};
use bytes::Bytes;
use testing::{
    ends::{End, chunk, close_frame, payload, text},
    frames::{CLOSE, CONTINUATION, FIN, Frame, PING, TEXT},
};

use crate::{close_code, fails};

// ---- §5.1 Overview: masking by role -------------------------------------------------------------

#[test]
fn s5_1_a_client_masks_every_frame() {
    let mut end = End::with(Role::Client, |config| config.send_frame_size = Some(2000));
    end.conn.send("text").unwrap();
    end.conn.send("").unwrap();
    end.conn.send(vec![7; 5000]).unwrap();
    end.conn.send_chunk(chunk(Kind::Text, "a", false)).unwrap();
    end.conn.ping(payload("p")).unwrap();
    end.conn.send_chunk(chunk(Kind::Text, "b", true)).unwrap();
    end.conn.pong(payload("p")).unwrap();
    end.give(&[Frame::new(PING, "?")]);
    end.conn.close(Some(close_frame(1000, "bye")));
    // `Frame::read` refuses an unmasked frame from a client.
    let frames = end.write();
    assert_eq!(frames.len(), 11);
    assert_eq!(frames[0], Frame::text("text"));
}

#[test]
fn s5_1_a_server_masks_no_frame() {
    let mut end = End::with(Role::Server, |config| config.send_frame_size = Some(2000));
    end.conn.send("text").unwrap();
    end.conn.send(vec![7; 5000]).unwrap();
    end.conn.ping(payload("p")).unwrap();
    end.conn.close(Some(close_frame(1000, "bye")));
    // `Frame::read` refuses a masked frame from a server.
    assert_eq!(end.write().len(), 6);
}

#[test]
fn s5_1_a_server_refuses_an_unmasked_frame() {
    for frame in [
        Frame::text("a"),
        Frame::new(PING, ""),
        Frame::new(CLOSE, ""),
    ] {
        let mut end = End::new(Role::Server);
        end.receive(&frame.encode(None));
        assert_eq!(end.events(), fails(ProtocolError::Unmasked));
        assert_eq!(close_code(&mut end), 1002);
    }
}

#[test]
fn s5_1_a_client_refuses_a_masked_frame() {
    for frame in [
        Frame::text("a"),
        Frame::new(PING, ""),
        Frame::new(CLOSE, ""),
    ] {
        let mut end = End::new(Role::Client);
        end.receive(&frame.encode(Some(Frame::KEY)));
        assert_eq!(end.events(), fails(ProtocolError::Masked));
        assert_eq!(close_code(&mut end), 1002);
    }
}

// ---- §5.3 Client-to-server masking --------------------------------------------------------------

#[test]
fn s5_3_every_frame_has_a_fresh_key() {
    let mut end = End::with(Role::Client, |config| config.send_frame_size = Some(10));
    end.conn.send(vec![0; 5000]).unwrap();
    let bytes = end.write_some(usize::MAX, true);
    // The payload is all zeros, so the masked payload is the key, repeated.
    let keys: Vec<&[u8]> = bytes.chunks(16).map(|frame| &frame[2..6]).collect();
    assert_eq!(keys.len(), 500);
    assert_eq!(
        bytes
            .chunks(16)
            .map(|frame| &frame[6..10])
            .collect::<Vec<_>>(),
        keys
    );
    let mut distinct = keys.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert!(distinct.len() > 495, "{} of 500", distinct.len());
}

#[test]
fn s5_3_keys_come_from_the_applications_source_of_entropy() {
    let mut end = End::with(Role::Client, |config| {
        config.entropy = |bytes| {
            bytes.fill(0xA5);
            Ok(())
        };
    });
    end.conn.send("x").unwrap();
    assert_eq!(
        end.write_some(usize::MAX, true),
        [0x81, 0x81, 0xA5, 0xA5, 0xA5, 0xA5, b'x' ^ 0xA5]
    );
}

#[test]
fn s5_3_masking_is_undone_at_every_phase_of_the_key() {
    let whole: String = "aß€𝄞".repeat(8);
    for (i, _) in whole.char_indices() {
        for first in 0..=17.min(i) {
            let mut end = End::new(Role::Server);
            // The cut moves the key's phase between two frames, then within one.
            let (a, b) = whole.as_bytes()[..i].split_at(first);
            let frames = [Frame::new(TEXT, a), Frame::new(FIN | CONTINUATION, b)];
            assert_eq!(end.give(&frames), [Ok(text(&whole[..i]))]);
            let bytes = Frame::text(&whole[..i]).from(Role::Client);
            let (a, b) = bytes.split_at((6 + first).min(bytes.len()));
            end.receive(a);
            let mut events = end.events();
            end.receive(b);
            events.extend(end.events());
            assert_eq!(events, [Ok(text(&whole[..i]))]);
        }
    }
}

#[test]
fn s5_3_masking_is_applied_at_every_phase_of_the_key() {
    for piece in [1, 2, 3, 5, 6, 7] {
        for len in 0..70 {
            let mut end = End::with(Role::Client, |config| config.send_frame_size = Some(piece));
            let body: Vec<u8> = (0..len).collect();
            end.conn.send(body.clone()).unwrap();
            let written: Vec<u8> = end.write().into_iter().flat_map(|f| f.payload).collect();
            assert_eq!(written, body);
        }
    }
}

#[test]
fn s5_3_what_the_application_keeps_is_not_masked_under_its_hands() {
    for (offset, len) in [(0, 100), (0, 10_000), (3, 9_000), (0, 200_000)] {
        let shared = Bytes::from(vec![7; len]);
        let mut end = End::new(Role::Client);
        end.conn.send(shared.slice(offset..)).unwrap();
        end.conn.send(shared.clone()).unwrap();
        let frames = end.write();
        assert_eq!(frames[0], Frame::binary(vec![7; len - offset]));
        assert_eq!(frames[1], Frame::binary(vec![7; len]));
        assert!(shared.iter().all(|octet| *octet == 7));
    }
}
