//! The least possible work if each message gets memory of its own: read the frame, copy, unmask and
//! check the payload, with our own functions.

use std::hint::black_box;

use bytes::Bytes;
use proto::{Role, Utf8Bytes, mask};

use crate::{
    codec::{Codec, Decode},
    memory::{Memory, READ},
};

pub(crate) fn codecs() -> Vec<Codec> {
    let floor = |name, decode: fn(Role, Memory) -> Decode| Codec {
        name,
        decode: Some(decode),
        encode: None,
    };
    vec![
        floor("read and copied by hand", copied),
        floor("decoded by hand", decoded),
    ]
}

fn copied(role: Role, memory: Memory) -> Decode {
    let mut frames = Frames::new(role, memory);
    Box::new(move |count| {
        let payloads = (0..count).map(|_| black_box(frames.next().payload));
        payloads.map(|payload| payload.len()).sum()
    })
}

fn decoded(role: Role, memory: Memory) -> Decode {
    let mut frames = Frames::new(role, memory);
    Box::new(move |count| {
        let messages = (0..count).map(|_| {
            let mut frame = frames.next();
            mask::apply(&mut frame.payload, frame.key, 0);
            if frame.text {
                let text = Utf8Bytes::try_from(Bytes::from(frame.payload));
                black_box(text.expect("it is text")).len()
            } else {
                black_box(frame.payload).len()
            }
        });
        messages.sum()
    })
}

/// The frames of a transport. Except within a payload, every read begins and ends with whole frames.
struct Frames {
    role: Role,
    memory: Memory,
    /// The bytes that were read and not taken are `start..end`.
    buf: Vec<u8>,
    start: usize,
    end: usize,
}

struct Frame {
    text: bool,
    key: [u8; 4],
    payload: Vec<u8>,
}

impl Frames {
    fn new(role: Role, memory: Memory) -> Self {
        Self {
            role,
            memory,
            buf: vec![0; READ],
            start: 0,
            end: 0,
        }
    }

    fn next(&mut self) -> Frame {
        if self.start == self.end {
            let read = self.memory.read(READ).expect("there is always more");
            self.buf[..read.len()].copy_from_slice(read);
            (self.start, self.end) = (0, read.len());
        }
        let bytes = &self.buf[self.start..self.end];
        let text = bytes[0] == 0x81;
        let (len, mut head) = match bytes[1] & 0x7F {
            126 => (u16::from_be_bytes([bytes[2], bytes[3]]) as usize, 4),
            127 => {
                let len = bytes[2..].first_chunk().expect("the header is whole");
                (u64::from_be_bytes(*len) as usize, 10)
            }
            len => (len as usize, 2),
        };
        let mut key = [0; 4];
        if self.role == Role::Server {
            key.copy_from_slice(&bytes[head..head + 4]);
            head += 4;
        }
        let mut payload = Vec::with_capacity(len);
        let here = &bytes[head..bytes.len().min(head + len)];
        payload.extend_from_slice(here);
        self.start += head + here.len();
        while payload.len() < len {
            let read = self.memory.read(len - payload.len());
            payload.extend_from_slice(read.expect("there is always more"));
        }
        Frame { text, key, payload }
    }
}
