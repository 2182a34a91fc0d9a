use std::{
    io,
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
    open(Clock::default(), to.into(), |to, deadline| {
        let stream = dial(to, deadline)?;
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
    open(stream.clock(), to.into(), |_, _| Ok(stream))
}

fn open<S: Transport>(
    clock: Clock,
    to: Connect,
    stream: impl FnOnce(&Destination, &Deadline) -> Result<S, ConnectError>,
) -> Result<(WebSocket<MaybeTls<S>>, Response), ConnectError> {
    let runner = Runner::new(clock.clone());
    let connected = bind::connect(to, clock.clone(), async |to| {
        let deadline = Deadline::new(clock, &to);
        let stream = secure(&to, &deadline, || stream(&to, &deadline))?;
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
        let after = to.config.handshake_timeout;
        let at = after.and_then(|after| clock.now().checked_add(after));
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

fn dial(to: &Destination, deadline: &Deadline) -> Result<TcpStream, ConnectError> {
    let addrs = match to.addr() {
        Some(addr) => vec![addr],
        None => {
            let name = (to.host.to_string(), to.port);
            look_up(deadline, move || Ok(name.to_socket_addrs()?.collect()))?
        }
    };
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for addr in addrs {
        let connected = match deadline.left()? {
            Some(left) => TcpStream::connect_timeout(&addr, left),
            None => TcpStream::connect(addr),
        };
        match connected {
            Ok(stream) => return Ok(stream),
            Err(why) => error = why,
        }
    }
    // Rather that the time is over than that the last address did not answer in it.
    deadline.left()?;
    Err(error.into())
}

/// Leaves `resolve` to itself at the deadline, because nothing can interrupt it.
fn look_up(
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
fn secure<S: Transport>(
    to: &Destination,
    deadline: &Deadline,
    stream: impl FnOnce() -> Result<S, ConnectError>,
) -> Result<MaybeTls<S>, ConnectError> {
    if !to.tls {
        return Ok(MaybeTls::Plain(stream()?));
    }
    let (config, name) = (to.client_config()?, to.server_name()?);
    let tls = crate::Tls::client(stream()?, config, name)?;
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
fn secure<S: Transport>(
    _: &Destination,
    _: &Deadline,
    stream: impl FnOnce() -> Result<S, ConnectError>,
) -> Result<MaybeTls<S>, ConnectError> {
    Ok(MaybeTls::Plain(stream()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_up_that_hangs_is_left_to_itself() {
        let clock = Clock::default();
        let at = clock.now().checked_add(Duration::from_millis(20));
        let deadline = Deadline { clock, at };
        let (hang, hangs) = mpsc::channel::<()>();
        let found = look_up(&deadline, move || {
            let _ = hangs.recv();
            Ok(Vec::new())
        });
        assert!(matches!(found, Err(ConnectError::TimedOut)));
        // It was still waiting.
        assert!(hang.send(()).is_ok());
    }
}
