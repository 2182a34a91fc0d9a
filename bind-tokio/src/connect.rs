use std::{io, net::SocketAddr};

use bind::{
    Connect, ConnectError, Destination, Timer,
    proto::{Instant, handshake::Response},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
};

use crate::{Clock, MaybeTls, WebSocket, io::in_runtime, tls::Security};

/// Connects to a URL, or as a [`Connect`] says.
///
/// ```no_run
/// # async fn f() -> Result<(), bowline_tokio::ConnectError> {
/// use bowline_tokio::{Connect, connect};
///
/// let (socket, response) = connect("wss://chat.example/room").await?;
///
/// let to = Connect::new("wss://chat.example/room").bearer("s3cr3t").subprotocol("chat.v2");
/// let (socket, response) = connect(to).await?;
/// # Ok(()) }
/// ```
///
/// The addresses of a name are tried one after the other. One that does not answer gets an equal share of
/// the time that is left, so that the others are tried as well.
///
/// All state is in the future: dropped, it drops the connection.
///
/// # Errors
///
/// See [`ConnectError`]. [`ConnectError::TimedOut`] if name resolution, TCP, TLS and the opening
/// handshake together take longer than
/// [`handshake_timeout`](crate::Config::handshake_timeout). [`ConnectError::Io`] outside of a runtime.
///
/// # Panics
///
/// On a runtime without I/O or without timers; see [Runtimes](crate#runtimes).
pub async fn connect(
    to: impl Into<Connect>,
) -> Result<(WebSocket<MaybeTls<TcpStream>>, Response), ConnectError> {
    bind::connect(to, Clock::new(), async |to| {
        in_runtime()?;
        let deadline = to.deadline(Clock::new().now());
        let security = Security::new(&to).await?;
        let stream = dial(look_up(&to).await?, deadline).await?;
        stream.set_nodelay(to.nodelay)?;
        security.secure(stream).await
    })
    .await
}

/// Connects over a transport that the caller brings, such as one through a proxy: what is left to do
/// is TLS, if the URL is `wss://…`, and the opening handshake.
///
/// All state is in the future: dropped, it drops the transport.
///
/// # Errors
///
/// As [`connect`].
///
/// # Panics
///
/// On a runtime without timers; see [Runtimes](crate#runtimes).
pub async fn connect_over<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    to: impl Into<Connect>,
) -> Result<(WebSocket<MaybeTls<S>>, Response), ConnectError> {
    bind::connect(to, Clock::new(), async |to| {
        // Reading the roots of the platform wants one too.
        if to.tls || to.config.handshake_timeout.is_some() {
            in_runtime()?;
        }
        Security::new(&to).await?.secure(stream).await
    })
    .await
}

async fn look_up(to: &Destination) -> io::Result<Vec<SocketAddr>> {
    Ok(match to.addr() {
        Some(addr) => vec![addr],
        None => lookup_host((to.host.to_string(), to.port)).await?.collect(),
    })
}

async fn dial(
    addrs: Vec<SocketAddr>,
    deadline: Option<Instant>,
) -> Result<TcpStream, ConnectError> {
    bind::dial(addrs, Clock::new(), deadline, |addr, _| {
        TcpStream::connect(addr)
    })
    .await
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    use std::{iter, net::TcpListener, time::Duration};

    use super::*;

    #[test]
    fn connecting_may_move_between_threads() {
        const fn send<T: Send>(_: &T) {}
        send(&connect("ws://a.test"));
        send(&connect_over(tokio::io::empty(), "ws://a.test"));
    }

    /// An address that answers nothing: as many connections wait there as may. What it returns first keeps
    /// it so.
    #[cfg(target_os = "linux")]
    fn black_hole() -> (impl Sized, SocketAddr) {
        use socket2::{Domain, Socket, Type};

        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener
            .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .unwrap();
        listener.listen(0).unwrap();
        let addr = listener.local_addr().unwrap().as_socket().unwrap();
        let connect = || std::net::TcpStream::connect_timeout(&addr, Duration::from_millis(100));
        let waiting = iter::from_fn(|| connect().ok()).collect::<Vec<_>>();
        ((listener, waiting), addr)
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn an_address_that_does_not_answer_leaves_time_for_the_others() {
        let (_hole, first) = black_hole();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let second = listener.local_addr().unwrap();
        let deadline = Clock::new().now().checked_add(Duration::from_secs(1));
        let stream = dial(vec![first, second], deadline).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), second);
    }
}
