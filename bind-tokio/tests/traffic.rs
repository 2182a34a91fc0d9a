//! Much traffic, both ways at once, and how it is written.

mod support;

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use bowline_tokio::{
    Connect, Message, Negotiated, Role, WebSocket, accept_any, connect_over, from_parts,
};
use support::{guarded, roomy, trusting};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, duplex},
    net::{TcpListener, TcpStream},
};

async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap());
    let (near, far) = tokio::join!(near, listener.accept());
    (near.unwrap(), far.unwrap().0)
}

/// A client and a server whose opening handshake is done.
fn open<N, F>(near: N, far: F) -> (WebSocket<N>, WebSocket<F>)
where
    N: AsyncRead + AsyncWrite + Unpin,
    F: AsyncRead + AsyncWrite + Unpin,
{
    let none = Negotiated::default;
    (
        from_parts(near, &[], none(), Role::Client, &roomy()),
        from_parts(far, &[], none(), Role::Server, &roomy()),
    )
}

/// 64 MiB each way, in messages of 1 MiB, while both receive.
async fn flood<N, F>(near: WebSocket<N>, far: WebSocket<F>)
where
    N: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    const COUNT: u8 = 64;
    fn run<S>(socket: WebSocket<S>) -> impl Future<Output = ()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut read, write) = socket.split();
        let sending = tokio::spawn(async move {
            for i in 0..COUNT {
                write.send(vec![i; 1 << 20]).await.unwrap();
            }
            write.finish(None).await.unwrap();
        });
        async move {
            for i in 0..COUNT {
                let message = read.recv().await.unwrap().unwrap();
                let payload = message.as_bytes();
                assert_eq!(payload.len(), 1 << 20);
                assert_eq!((payload[0], payload[(1 << 20) - 1]), (i, i));
            }
            assert_eq!(read.recv().await.unwrap(), None);
            assert!(read.closed().unwrap().clean);
            sending.await.unwrap();
        }
    }
    guarded(async { tokio::join!(run(near), run(far)) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_mebibytes_each_way_at_once() {
    let (near, far) = tcp().await;
    let (near, far) = open(near, far);
    flood(near, far).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_mebibytes_each_way_at_once_by_tls() {
    let (near, far) = tcp().await;
    let (acceptor, trusting) = trusting();
    let config = roomy();
    let to = Connect::new("wss://localhost/")
        .tls(trusting)
        .config(config.clone());
    let accepting = async {
        let stream = acceptor.accept(far).await.unwrap();
        accept_any(stream, &config).await.unwrap()
    };
    let (near, far) = tokio::join!(connect_over(near, to), accepting);
    flood(near.unwrap().0, far).await;
}

/// Neither receives before it has sent, and no buffer between them holds a message.
#[tokio::test]
async fn two_that_send_before_they_receive_do_not_wait_for_each_other() {
    async fn run<S: AsyncRead + AsyncWrite + Unpin>(mut socket: WebSocket<S>) {
        let message = Message::from(vec![1; 1 << 20]);
        socket.send(message.clone()).await.unwrap();
        assert!(socket.recv().await.unwrap() == Some(message));
    }
    let (near, far) = duplex(4096);
    let (near, far) = open(near, far);
    guarded(async { tokio::join!(run(near), run(far)) }).await;
}

/// Counts writes, and tells or tells not that it takes several pieces at once.
struct Counted<S> {
    stream: S,
    vectored: bool,
    /// The length of each write, and of how many pieces it was.
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
        assert!(self.vectored, "it told that it cannot");
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
        let (near, far) = tcp().await;
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
        // Many at once leave at once.
        writes.lock().unwrap().clear();
        for _ in 0..100 {
            server.feed("a short message").await.unwrap();
        }
        server.flush().await.unwrap();
        assert_eq!(writes.lock().unwrap().clone(), [(1700, 1)]);
    }
}
