//! §8: what an attacker could learn from the lengths of compressed messages.

use bowline_proto::{Chunk, Kind, Outgoing, SendError};
use testing::{
    ends::{
        BOTH, End, chunk,
        deflate::{Inflater, USUAL, all},
    },
    frames::{CONTINUATION, FIN, Frame, TEXT},
};

use crate::usual;

#[test]
fn s8_a_secret_is_sent_plain_and_no_later_message_refers_to_it() {
    for role in BOTH {
        let mut end = usual(role);
        let secret = "correct horse battery staple ".repeat(4);
        end.conn.send("once upon a time, once upon a time").unwrap();
        let plain = Outgoing::uncompressed(secret.clone());
        end.conn.send(plain).unwrap();
        end.conn.send(secret.clone()).unwrap();
        let frames = end.write();
        assert_eq!(frames[1], Frame::text(&secret));
        // The third is as long as it would be without the second.
        let mut other = usual(role);
        other
            .conn
            .send("once upon a time, once upon a time")
            .unwrap();
        other.conn.send(secret).unwrap();
        assert_eq!(frames[2], other.write()[1]);
        assert_eq!(all().threshold, 0);
    }
}

#[test]
fn s8_a_secret_in_pieces_is_sent_plain_and_no_later_message_refers_to_it() {
    for role in BOTH {
        let secret = "correct horse battery staple ".repeat(4);
        let usual_then = |pieces: &[bool]| {
            let mut end = usual(role);
            end.conn.send("once upon a time, once upon a time").unwrap();
            for (i, plain) in pieces.iter().enumerate() {
                let fin = i + 1 == pieces.len();
                let sent = if *plain {
                    let data = Outgoing::uncompressed(secret.clone());
                    end.conn.send_chunk(Chunk { data, fin })
                } else {
                    end.conn.send_chunk(chunk(Kind::Text, &secret, fin))
                };
                sent.unwrap();
            }
            end.conn.send(secret.clone()).unwrap();
            end.write()
        };
        let alone = usual_then(&[]);
        // The first piece decides.
        for pieces in [&[true][..], &[true, true], &[true, false, true, false]] {
            let frames = usual_then(pieces);
            let (last, first) = frames.split_last().unwrap();
            assert_eq!(first.len(), 1 + pieces.len());
            for (i, frame) in first[1..].iter().enumerate() {
                let opcode = if i == 0 { TEXT } else { CONTINUATION };
                let fin = if i + 1 == pieces.len() { FIN } else { 0 };
                assert_eq!(*frame, Frame::new(fin | opcode, &secret));
            }
            // The last message is as long as it would be without the secret.
            assert_eq!(Some(last), alone.last());
        }
        let after_another = usual_then(&[false, false]);
        let (last, alone) = (after_another.last().unwrap(), alone.last().unwrap());
        assert!(last.payload.len() < alone.payload.len());
    }
}

/// Otherwise it would be compressed silently, because a message is compressed as a whole.
#[test]
fn s8_a_plain_piece_of_a_compressed_message_is_refused() {
    for role in BOTH {
        let mut end = usual(role);
        let mut peer = Inflater::new(USUAL.send);
        let plain = |text: &'static str, fin| Chunk {
            data: Outgoing::uncompressed(text),
            fin,
        };
        end.conn
            .send_chunk(chunk(Kind::Text, "one ", false))
            .unwrap();
        for fin in [false, true] {
            let sent = end.conn.send_chunk(plain("secret", fin));
            assert_eq!(sent, Err(SendError::Compressed));
        }
        end.conn.send_chunk(chunk(Kind::Text, "two", true)).unwrap();
        assert_eq!(peer.messages(&end.write()), [b"one two"]);
        // Where compression was not agreed on, all pieces are accepted.
        let mut end = End::new(role);
        end.conn.send_chunk(chunk(Kind::Text, "a", false)).unwrap();
        end.conn.send_chunk(plain("b", true)).unwrap();
        let expected = [Frame::new(TEXT, "a"), Frame::new(FIN | CONTINUATION, "b")];
        assert_eq!(end.write(), expected);
    }
}
