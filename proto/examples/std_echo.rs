//! An echo server: the core on `std::net`, with a thread for each connection and no runtime.
//!
//! `cargo run -p bowline-proto --example std_echo -- 127.0.0.1:9001`

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::{env, error::Error, sync::Arc, thread, time};

use bowline_proto::{
    Closed, Config, EntropyError, Event, Instant, Lost, Pull, State, handshake::Server,
};
use bytes::Buf;

/// Writes the output, or else reads until the next deadline, and passes the time. This is a macro,
/// because the handshake and the connection are two types with the same methods.
macro_rules! turn {
    ($core:expr, $socket:expr, $now:expr) => {{
        let deadline = $core.poll_timeout();
        if let Some(output) = $core.transmit() {
            match $socket.write(output.chunk()) {
                Ok(len) => output.advance(len),
                Err(_) => $core.handle_error(Lost::Failed),
            }
            $core.handle_sent(true);
        } else if let Some(room) = $core.recv_buf() {
            let wait = deadline.map(|at| at.saturating_duration_since($now()));
            $socket.set_read_timeout(wait.map(|wait| wait.max(time::Duration::from_millis(1))))?;
            match $socket.read(room).map_err(|error| error.kind()) {
                Ok(0) => $core.handle_eof(),
                Ok(len) => $core.handle_input(len),
                Err(ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => $core.handle_error(Lost::Failed),
            }
            $core.handle_timeout($now());
        }
        if $core.wants_shutdown() {
            let _ = $socket.shutdown(Shutdown::Write);
        }
    }};
}

fn serve(mut socket: TcpStream, config: Arc<Config>) -> Result<Option<Closed>, Box<dyn Error>> {
    let start = time::Instant::now();
    let now = || Instant::from_epoch(start.elapsed());
    // The socket keeps the write deadline: a write fails if nothing is taken for this long.
    socket.set_write_timeout(config.write_timeout)?;
    socket.set_nodelay(true)?;
    let mut server = Server::new(config);
    let mut connection = loop {
        match server.poll() {
            Ok(Some(incoming)) => break incoming.open(),
            // An invalid request is answered, too.
            _ if server.exchange().is_done() => return Ok(None),
            _ => turn!(server.exchange(), socket, now),
        }
    };
    while connection.state() != State::Closed {
        // The core answers Pings and the Close by itself. Nothing is read before all events are polled
        // and all output is written, so a peer that does not read cannot fill the memory.
        if let Ok(Some(Event::Data(chunk))) = connection.poll_data(Pull::Messages) {
            connection.send(chunk.data)?;
        }
        turn!(connection, socket, now);
    }
    Ok(connection.closed())
}

fn main() -> io::Result<()> {
    let address = env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:9001"))?;
    println!("listening on {}", listener.local_addr()?);
    let mut config = Config::new(|_| Err(EntropyError)); // A server draws none.
    config.max_message_size = 16 << 20;
    config.max_fragments = 65_536;
    let config = Arc::new(config);
    for socket in listener.incoming().flatten() {
        let config = config.clone();
        thread::spawn(move || eprintln!("{:?}", serve(socket, config)));
    }
    Ok(())
}
