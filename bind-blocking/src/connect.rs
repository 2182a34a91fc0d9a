use std::{
    future, io,
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    sync::mpsc,
    thread,
    time::Duration,
};

use bind::{
    Connect, ConnectError, Destination, Timer,
    proto::{Instant, handshake::Response},
};

use crate::{Clock, MaybeTls, Transport, WebSocket, run::Runner};

/// Connects to a URL, or as a [`Connect`] says.
///
/// ```no_run
/// # fn f() -> Result<(), bowline_blocking::ConnectError> {
/// use bowline_blocking::{Connect, connect};
///
/// let (socket, response) = connect("wss://chat.example/room")?;
///
/// let to = Connect::new("wss://chat.example/room").bearer("s3cr3t").subprotocol("chat.v2");
/// let (socket, response) = connect(to)?;
/// # Ok(()) }
/// ```
///
/// The addresses of a name are tried one after the other. One that does not answer gets an equal share of
/// the time that is left, so that the others are tried as well.
///
/// The name is looked up in a thread of its own, because nothing can interrupt that; after the deadline
/// nobody waits for it any more.
///
/// # Errors
///
/// See [`ConnectError`]. [`ConnectError::TimedOut`] if name resolution, TCP, TLS and the opening
/// handshake together take longer than
/// [`handshake_timeout`](crate::Config::handshake_timeout).
pub fn connect(
    to: impl Into<Connect>,
) -> Result<(WebSocket<MaybeTls<TcpStream>>, Response), ConnectError> {
    open(Clock::default(), to.into(), async |to, deadline| {
        let stream = dial(look_up(to, deadline)?, deadline).await?;
        stream.set_nodelay(to.nodelay)?;
        Ok(stream)
    })
}

/// Connects over a transport that the caller brings, such as one through a proxy: what is left to do
/// is TLS, if the URL is `wss://…`, and the opening handshake.
///
/// # Errors
///
/// As [`connect`].
pub fn connect_over<S: Transport>(
    stream: S,
    to: impl Into<Connect>,
) -> Result<(WebSocket<MaybeTls<S>>, Response), ConnectError> {
    open(stream.clock(), to.into(), async |_, _| Ok(stream))
}

fn open<S: Transport>(
    clock: Clock,
    to: Connect,
    stream: impl AsyncFnOnce(&Destination, &Deadline) -> Result<S, ConnectError>,
) -> Result<(WebSocket<MaybeTls<S>>, Response), ConnectError> {
    let runner = Runner::new(clock.clone());
    let connected = bind::connect(to, clock.clone(), async |to| {
        let deadline = Deadline::new(clock, &to);
        let stream = secure(&to, &deadline, stream(&to, &deadline)).await?;
        Ok(runner.over(stream, &to.config))
    });
    let (inner, response) = runner.run(connected)?;
    Ok((WebSocket::new(inner, runner), response))
}

/// When all has to be done.
struct Deadline {
    clock: Clock,
    at: Option<Instant>,
}

impl Deadline {
    fn new(clock: Clock, to: &Destination) -> Self {
        let at = to.deadline(clock.now());
        Self { clock, at }
    }

    /// How long there is still to wait.
    fn left(&self) -> Result<Option<Duration>, ConnectError> {
        let Some(at) = self.at else {
            return Ok(None);
        };
        let now = self.clock.now().since_epoch();
        match at.since_epoch().checked_sub(now) {
            Some(left) if !left.is_zero() => Ok(Some(left)),
            _ => Err(ConnectError::TimedOut),
        }
    }
}

fn look_up(to: &Destination, deadline: &Deadline) -> Result<Vec<SocketAddr>, ConnectError> {
    if let Some(addr) = to.addr() {
        return Ok(vec![addr]);
    }
    let name = (to.host.to_string(), to.port);
    ask(deadline, move || Ok(name.to_socket_addrs()?.collect()))
}

async fn dial(addrs: Vec<SocketAddr>, deadline: &Deadline) -> Result<TcpStream, ConnectError> {
    bind::dial(addrs, deadline.clock.clone(), deadline.at, |addr, time| {
        future::ready(match time {
            Some(time) => TcpStream::connect_timeout(&addr, time),
            None => TcpStream::connect(addr),
        })
    })
    .await
}

/// Leaves `resolve` to itself at the deadline, because nothing can interrupt it.
fn ask(
    deadline: &Deadline,
    resolve: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static,
) -> Result<Vec<SocketAddr>, ConnectError> {
    let (answer, answered) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        // Nobody may wait for it any more.
        let _ = answer.send(resolve());
    })?;
    let addrs = match deadline.left()? {
        Some(left) => answered
            .recv_timeout(left)
            .map_err(|_| ConnectError::TimedOut)?,
        None => answered.recv().map_err(io::Error::other)?,
    };
    Ok(addrs?)
}

#[cfg(feature = "tls")]
async fn secure<S: Transport>(
    to: &Destination,
    deadline: &Deadline,
    stream: impl Future<Output = Result<S, ConnectError>>,
) -> Result<MaybeTls<S>, ConnectError> {
    if !to.tls {
        return Ok(MaybeTls::Plain(stream.await?));
    }
    let (config, name) = (to.client_config()?, to.server_name()?);
    let tls = crate::Tls::client(stream.await?, config, name)?;
    loop {
        let left = deadline.left()?;
        tls.set_read_timeout(left)?;
        tls.set_write_timeout(left)?;
        match tls.handshake() {
            Ok(true) => return Ok(MaybeTls::Tls(Box::new(tls))),
            Err(error) if !crate::transport::timed_out(&error) => return Err(error.into()),
            _ => {}
        }
    }
}

#[cfg(not(feature = "tls"))]
async fn secure<S: Transport>(
    _: &Destination,
    _: &Deadline,
    stream: impl Future<Output = Result<S, ConnectError>>,
) -> Result<MaybeTls<S>, ConnectError> {
    Ok(MaybeTls::Plain(stream.await?))
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    use std::{iter, net::TcpListener};

    use super::*;

    #[test]
    fn a_look_up_that_hangs_is_left_to_itself() {
        let clock = Clock::default();
        let at = clock.now().checked_add(Duration::from_millis(20));
        let deadline = Deadline { clock, at };
        let (hang, hangs) = mpsc::channel::<()>();
        let found = ask(&deadline, move || {
            let _ = hangs.recv();
            Ok(Vec::new())
        });
        assert!(matches!(found, Err(ConnectError::TimedOut)));
        // It was still waiting.
        assert!(hang.send(()).is_ok());
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
        let connect = || TcpStream::connect_timeout(&addr, Duration::from_millis(100));
        let waiting = iter::from_fn(|| connect().ok()).collect::<Vec<_>>();
        ((listener, waiting), addr)
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_address_that_does_not_answer_leaves_time_for_the_others() {
        let (_hole, first) = black_hole();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let second = listener.local_addr().unwrap();
        let clock = Clock::default();
        let at = clock.now().checked_add(Duration::from_secs(1));
        let runner = Runner::<TcpStream>::new(clock.clone());
        let stream = runner.run(dial(vec![first, second], &Deadline { clock, at }));
        assert_eq!(stream.unwrap().peer_addr().unwrap(), second);
    }
}
