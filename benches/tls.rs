//! Echo with TLS over loopback: the CPU time of a server's thread for each message, beside the same over
//! tokio-rustls, and with the feature `peers` beside tokio-tungstenite.
//!
//! `cargo bench -p bowline-benches --bench tls`. Each round measures every server with every size, so
//! that a busy minute of the machine spoils a round and not a row.

use std::{
    error::Error,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use bowline_benches::Report;
use bowline_tokio::{
    Config, Transport, WebSocket, accept_any, accept_tls,
    rustls::{ClientConfig, ClientConnection, ServerConfig, StreamOwned},
};
use proto::Role;
use rustix::time::{ClockId, clock_gettime};
use testing::{certificates::trusting, frames::Frame};
use tokio_rustls::TlsAcceptor;

const ROUNDS: usize = 15;
/// The size of a message in bytes, and the number of messages in a round.
const SIZES: [(usize, usize); 3] = [(16, 5000), (1 << 10, 5000), (64 << 10, 1000)];

type Ended = Result<(), Box<dyn Error + Send + Sync>>;
type Serve = fn(TcpStream, Arc<ServerConfig>) -> Ended;

fn main() -> Result<(), Box<dyn Error>> {
    let servers: &[(&str, Serve)] = &[
        ("bowline-tokio", ours),
        ("bowline-tokio over tokio-rustls", over_tokio_rustls),
        #[cfg(feature = "peers")]
        ("tokio-tungstenite over tokio-rustls", tokio_tungstenite),
    ];
    let (server_config, client_config) = trusting(&["localhost"]);
    let mut report = Report::new("tls", "Echo by TLS", &["tokio", "rustls", "tokio-rustls"]);
    let mut samples = vec![vec![Vec::new(); SIZES.len()]; servers.len()];
    for _ in 0..ROUNDS {
        for (size, (bytes, count)) in SIZES.into_iter().enumerate() {
            for ((_, serve), samples) in servers.iter().zip(&mut samples) {
                let took = round(*serve, &server_config, &client_config, bytes, count)?;
                samples[size].push(took.as_secs_f64() * 1e6 / count as f64);
            }
        }
    }
    report.paragraph(
        "CPU time of the server's thread, in microseconds for each message that it sends back, one at a time: \
         the median of 15 rounds, and the minimum. The client is rustls' own stream in another thread.",
    );
    let rows: Vec<Vec<String>> = servers
        .iter()
        .zip(samples)
        .map(|((name, _), sizes)| {
            let cells = sizes.into_iter().map(|mut samples| {
                samples.sort_by(f64::total_cmp);
                format!("{:.2} ({:.2})", samples[ROUNDS / 2], samples[0])
            });
            std::iter::once((*name).to_owned()).chain(cells).collect()
        })
        .collect();
    report.table(["server", "16 B", "1 KiB", "64 KiB"], &rows);
    Ok(report.finish()?)
}

/// Returns the server's CPU time for `count` messages of a size, after some that are not counted.
fn round(
    serve: Serve,
    server: &Arc<ServerConfig>,
    client: &Arc<ClientConfig>,
    bytes: usize,
    count: usize,
) -> Result<Duration, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let server = server.clone();
    let serving = thread::spawn(move || -> Result<Duration, Box<dyn Error + Send + Sync>> {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        // The handshake is included, but small beside the messages.
        let before = clock_gettime(ClockId::ThreadCPUTime);
        serve(stream, server)?;
        let after = clock_gettime(ClockId::ThreadCPUTime);
        let since = |it: rustix::time::Timespec| Duration::new(it.tv_sec as u64, it.tv_nsec as u32);
        Ok(since(after) - since(before))
    });
    let stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    let tls = ClientConnection::new(client.clone(), "localhost".try_into()?)?;
    let mut stream = StreamOwned::new(tls, stream);
    stream.write_all(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    )?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let message = Frame::binary(vec![7; bytes]);
    let (request, mut answer) = (message.from(Role::Client), message.from(Role::Server));
    for _ in 0..count {
        stream.write_all(&request)?;
        stream.read_exact(&mut answer)?;
    }
    // A Close, and the answer to it.
    stream.write_all(&[0x88, 0x80, 0, 0, 0, 0])?;
    let _ = stream.read(&mut answer);
    drop(stream);
    Ok(serving
        .join()
        .expect("no panic")
        .map_err(|error| error.to_string())?)
}

fn on_tokio(serve: impl Future<Output = Ended>) -> Ended {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(serve)
}

fn of_std(stream: TcpStream) -> Result<tokio::net::TcpStream, std::io::Error> {
    stream.set_nonblocking(true)?;
    tokio::net::TcpStream::from_std(stream)
}

async fn echo<S: Transport>(mut socket: WebSocket<S>) -> Ended {
    while let Some(message) = socket.recv().await? {
        socket.feed(message).await?;
    }
    Ok(())
}

fn ours(stream: TcpStream, tls: Arc<ServerConfig>) -> Ended {
    on_tokio(async {
        let incoming = accept_tls(of_std(stream)?, Some(tls), Config::default()).await?;
        echo(incoming.open().await).await
    })
}

fn over_tokio_rustls(stream: TcpStream, tls: Arc<ServerConfig>) -> Ended {
    on_tokio(async {
        let stream = TlsAcceptor::from(tls).accept(of_std(stream)?).await?;
        echo(accept_any(stream, Config::default()).await?).await
    })
}

#[cfg(feature = "peers")]
fn tokio_tungstenite(stream: TcpStream, tls: Arc<ServerConfig>) -> Ended {
    use futures_util::{SinkExt, StreamExt};

    on_tokio(async {
        let stream = TlsAcceptor::from(tls).accept(of_std(stream)?).await?;
        let mut socket = tokio_tungstenite::accept_async(stream).await?;
        while let Some(Ok(message)) = socket.next().await {
            if message.is_binary() {
                socket.send(message).await?;
            }
        }
        Ok(())
    })
}
