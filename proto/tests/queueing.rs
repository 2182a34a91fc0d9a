//! Messages that are queued and framed later.

use bowline_proto::{Role, SendError, Sender};
use bytes::Buf;
use testing::{
    ends::{config, connection},
    frames::{BINARY, FIN, Frame, TEXT, wire},
};

fn sender(role: Role, change: impl FnOnce(&mut bowline_proto::Config)) -> Sender {
    connection(role, &config(change)).split().1
}

/// Returns everything that is to be written.
fn written(sender: &mut Sender) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(transmit) = sender.transmit() {
        let chunk = transmit.chunk();
        bytes.extend_from_slice(chunk);
        let len = chunk.len();
        transmit.advance(len);
        sender.handle_sent(true);
    }
    bytes
}

/// Only the payload waits, and it is shared: nothing is framed before output is taken.
#[test]
fn what_is_sent_later_is_framed_when_output_is_taken() {
    let mut sender = sender(Role::Server, |config| config.send_high_water = 64);
    sender.send_later("twelve bytes").unwrap();
    assert_eq!(sender.queued_bytes(), 12);
    assert!(!sender.is_full());
    sender.send_later(vec![7; 52]).unwrap();
    assert_eq!(sender.queued_bytes(), 64);
    assert!(sender.is_full(), "the mark counts what waits to be framed");
    assert_eq!((sender.accepted(), sender.flushed()), (2, 0));
    let frames = [
        Frame::new(FIN | TEXT, "twelve bytes"),
        Frame::new(FIN | BINARY, [7; 52]),
    ];
    assert_eq!(written(&mut sender), wire(&frames, Role::Server));
    assert_eq!((sender.queued_bytes(), sender.flushed()), (0, 2));
}

/// Messages are sent in the order of the calls, whichever way they were queued.
#[test]
fn later_is_after_what_was_sent_before_and_before_what_is_sent_after() {
    let mut sender = sender(Role::Server, |_| {});
    let message = |number: u8| vec![number; 3 * usize::from(number)];
    for number in 0..20 {
        if number % 3 == 0 {
            sender.send_later(message(number)).unwrap();
        } else {
            sender.send(message(number)).unwrap();
        }
    }
    let frames: Vec<_> = (0..20)
        .map(|number| Frame::binary(message(number)))
        .collect();
    assert_eq!(written(&mut sender), wire(&frames, Role::Server));
}

#[test]
fn what_cannot_be_sent_cannot_be_sent_later() {
    let mut sender = sender(Role::Server, |config| config.max_send_size = 10);
    let too_big = sender.send_later(vec![0; 11]);
    assert_eq!(too_big, Err(SendError::TooBig { max: 10 }));
    sender.close(None);
    assert_eq!(sender.send_later("late"), Err(SendError::Closed));
}
