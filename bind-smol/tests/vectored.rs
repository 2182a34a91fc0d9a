//! Futures-io does not say whether a transport takes several pieces in one write.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bowline_smol::{Config, Message, Negotiated, Role, from_parts};
use smol::io::{AsyncRead, AsyncWrite};

/// The bytes of each write.
type Writes = Arc<Mutex<Vec<Vec<u8>>>>;

/// Takes all pieces of a write, or only the first, as a transport does that has no vectored writes.
struct Recorder {
    several: bool,
    writes: Writes,
}

impl AsyncRead for Recorder {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }
}

impl AsyncWrite for Recorder {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes.lock().unwrap().push(buf.to_vec());
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.several {
            let all: Vec<u8> = bufs.iter().flat_map(|buf| buf.to_vec()).collect();
            return self.poll_write(cx, &all);
        }
        let first = bufs.iter().find(|buf| !buf.is_empty());
        self.poll_write(cx, first.map_or(&[], |buf| buf))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Returns the writes of a server that sends `message`.
fn writes(several: bool, message: Message) -> Vec<Vec<u8>> {
    let writes = Writes::default();
    let recorder = Recorder {
        several,
        writes: writes.clone(),
    };
    let (none, config) = (Negotiated::default(), Arc::new(Config::default()));
    let mut socket = from_parts(recorder, &[], none, Role::Server, config.clone());
    smol::block_on(socket.send(message)).unwrap();
    std::mem::take(&mut *writes.lock().unwrap())
}

#[test]
fn a_large_message_is_one_write_where_the_transport_takes_several_pieces() {
    let payload = vec![7; 10_000];
    // RFC 6455 §5.2: final, binary, unmasked, 16 bits of length.
    let frame = [&[0x82, 126, 0x27, 0x10], &payload[..]].concat();
    assert_eq!(writes(true, payload.clone().into()), [frame]);
    // A transport without vectored writes gets two writes, and the message is still complete.
    let header = vec![0x82, 126, 0x27, 0x10];
    assert_eq!(writes(false, payload.clone().into()), [header, payload]);
}

#[test]
fn a_small_message_is_one_write_in_any_case() {
    for several in [false, true] {
        assert_eq!(writes(several, "hi".into()), [b"\x81\x02hi"]);
    }
}
