//! The actions of an application, permitted or not.

use proto::{Chunk, CloseCode, CloseFrame, Kind, Message};

use crate::bodies::{choices::Choices, end::End, outbox::How};

pub(crate) fn send(end: &mut End, choices: &mut Choices<'_>) {
    let len = len(end, choices);
    let message = message(choices, len);
    let how = choices.of(&[How::Usual, How::Usual, How::Plain, How::Prepared]);
    let _ = end.send(&message, how);
}

fn message(choices: &mut Choices<'_>, len: usize) -> Message {
    match choices.flip() {
        true => Message::from(choices.text(len)),
        false => Message::from(choices.binary(len)),
    }
}

/// Returns a length that takes at most 2,000 frames: more frames would only take time.
fn len(end: &End, choices: &mut Choices<'_>) -> usize {
    let len = choices.len();
    match end.config.send_frame_size {
        Some(size) => len.min(size.max(1) * 2000),
        None => len,
    }
}

pub(crate) fn chunk(end: &mut End, choices: &mut Choices<'_>) {
    let len = len(end, choices);
    let data = match end.streaming() {
        Some(Kind::Text) if !choices.one_in(16) => Message::from(choices.text(len)),
        Some(Kind::Binary) if !choices.one_in(16) => Message::from(choices.binary(len)),
        _ => message(choices, len),
    };
    let fin = choices.one_in(3);
    let _ = end.send_chunk(Chunk { data, fin });
}

pub(crate) fn control(end: &mut End, choices: &mut Choices<'_>) {
    let payload = mark(choices);
    let _ = if choices.flip() {
        end.ping(payload)
    } else {
        end.pong(payload)
    };
}

/// Returns a payload that no peer of ours sends, which distinguishes requested frames from owed ones.
fn mark(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut payload = b"asked ".to_vec();
    let len = choices.of(&[1, 0, 119]);
    payload.extend(choices.binary(len));
    payload
}

pub(crate) fn close_frame(choices: &mut Choices<'_>) -> Option<CloseFrame> {
    if choices.one_in(4) {
        return None;
    }
    let code = CloseCode::new(choices.of(&[1000, 1001, 1014, 3000, 4999])).unwrap();
    let len = choices.of(&[0, 5, 123]);
    Some(CloseFrame::new(code, choices.text(len)).unwrap())
}
