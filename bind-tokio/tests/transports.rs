//! Transports that are not sockets, or that behave as no socket does.

use std::{
    future::{Future, poll_fn},
    io::{self, IoSlice},
    net,
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::Duration,
};

use bowline_tokio::{
    Config, HandshakeError, Io, Message, Negotiated, RequestError, Role, Transport, WebSocket,
    accept, from_parts,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, duplex},
    net::TcpStream,
    runtime::Builder,
    time::timeout,
};

/// Runs a test that must not hang.
async fn guarded<F: Future>(test: F) -> F::Output {
    let ended = timeout(Duration::from_secs(60), test);
    ended.await.expect("the test hangs")
}

/// Returns a client and a server whose opening handshake is done.
fn open<N, F>(near: N, far: F) -> (WebSocket<Io<N>>, WebSocket<Io<F>>)
where
    N: AsyncRead + AsyncWrite + Unpin + 'static,
    F: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let none = Negotiated::default;
    (
        from_parts(near, &[], none(), Role::Client, Config::default()),
        from_parts(far, &[], none(), Role::Server, Config::default()),
    )
}

/// The descriptor and the timer belong to a runtime that has ended.
#[test]
fn a_socket_is_dropped_behind_its_runtime() {
    for split in [false, true] {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let socket = runtime.block_on(async {
            let stream = TcpStream::from_std(stream).unwrap();
            let none = Negotiated::default();
            let mut socket = from_parts(stream, &[], none, Role::Server, Config::default());
            let waits = timeout(Duration::from_millis(1), socket.recv()).await;
            assert!(waits.is_err(), "its deadline is running");
            socket
        });
        if split {
            let (reader, writer) = socket.split();
            drop((runtime, writer, reader));
        } else {
            drop((runtime, socket));
        }
        assert_eq!(
            io::Read::read(&mut peer, &mut [0]).unwrap(),
            0,
            "it is closed"
        );
    }
}

/// Both send before they receive, and the buffer between them is smaller than a message.
#[tokio::test]
async fn two_that_send_before_they_receive_do_not_wait_for_each_other() {
    async fn run<S: Transport>(mut socket: WebSocket<S>) {
        let message = Message::from(vec![1; 1 << 20]);
        socket.send(message.clone()).await.unwrap();
        assert!(socket.recv().await.unwrap() == Some(message));
    }
    let (near, far) = duplex(4096);
    let (near, far) = open(near, far);
    guarded(async { tokio::join!(run(near), run(far)) }).await;
}

/// The client's bytes keep arriving before the deadline, but do not postpone it.
#[tokio::test]
async fn a_client_that_never_stops_is_let_go() {
    let mut config = Config::default();
    config.close_timeout = Some(Duration::from_millis(50));
    let endless = tokio::io::join(tokio::io::repeat(b'x'), tokio::io::sink());
    let failed = guarded(accept(endless, config)).await;
    assert_eq!(
        failed.unwrap_err(),
        HandshakeError::Request(RequestError::TargetTooLong)
    );
}

/// A transport that always has more to read.
struct Endless {
    reads: u32,
}

impl AsyncRead for Endless {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.reads += 1;
        assert!(self.reads < 1000, "no other task gets a turn");
        let all = buf.remaining();
        buf.put_slice(&vec![b'x'; all]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_busy_client_leaves_turns_to_others() {
    let shared = Arc::new(Config::default());
    let mut accepting = pin!(accept(Endless { reads: 0 }, shared.clone()));
    let polled = poll_fn(|cx| Poll::Ready(accepting.as_mut().poll(cx))).await;
    assert!(polled.is_pending());
}

/// Counts writes, and reports `vectored` as whether it takes several pieces at once.
struct Counted<S> {
    stream: S,
    vectored: bool,
    /// The length of each write, and its number of pieces.
    writes: Arc<Mutex<Vec<(usize, usize)>>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let taken = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.writes.lock().unwrap().push((taken, 1));
        Poll::Ready(Ok(taken))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        assert!(self.vectored, "it has reported no vectored writes");
        let taken = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs))?;
        self.writes.lock().unwrap().push((taken, bufs.len()));
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        self.vectored
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_header_is_never_written_alone() {
    for vectored in [false, true] {
        let (near, far) = duplex(1 << 20);
        let writes = Arc::<Mutex<Vec<_>>>::default();
        let far = Counted {
            stream: far,
            vectored,
            writes: writes.clone(),
        };
        let (mut client, mut server) = open(near, far);
        for len in [0, 1, 125, 126, 1000, 3000, 5000, 60_000] {
            writes.lock().unwrap().clear();
            server.send(vec![7; len]).await.unwrap();
            let writes = writes.lock().unwrap().clone();
            assert!(writes[0].0 >= 2 + len.min(3000), "{len}: {writes:?}");
            if len <= 3000 {
                assert_eq!(writes.len(), 1, "{len}: {writes:?}");
            }
            if vectored && len == 60_000 {
                assert_eq!(writes, [(60_004, 2)], "its memory is not copied");
            }
            assert_eq!(client.recv().await.unwrap().unwrap().len(), len);
        }
        // Many messages are sent in one write.
        writes.lock().unwrap().clear();
        for _ in 0..100 {
            server.feed("a short message").await.unwrap();
        }
        server.flush().await.unwrap();
        assert_eq!(writes.lock().unwrap().clone(), [(1700, 1)]);
    }
}
