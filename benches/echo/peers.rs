//! Other libraries, each in the loop that its documents show, and where it can queue several messages, in
//! one that flushes when no more input is ready.

use std::{error::Error, io, net::TcpListener, pin::pin};

use futures_util::{
    FutureExt, Sink, SinkExt, Stream, StreamExt,
    io::{AsyncRead, AsyncWrite, BufReader, BufWriter},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::unconstrained,
};
use tokio_tungstenite::tungstenite;
use tokio_util::compat::TokioAsyncReadCompatExt;
use wtx::{
    collection::Vector,
    rng::Rng,
    web_socket::{
        OpCode, WebSocketOwned, WebSocketPayloadOrigin, compression::NegotiatedCompression,
    },
};

use crate::{
    floor,
    frames::Takeover,
    servers::{Deflate, Kind, Runtime, Server, on_smol, on_threads, on_tokio},
};

/// The largest message, where the default is less than a row wants.
const LARGEST: usize = 16 << 20;

pub(crate) fn all() -> Vec<Server> {
    use {Deflate::*, Runtime::*};
    let peer = |name, runtime, deflate, serve| {
        let mut server = Server::new(name, (runtime, Kind::Peer, deflate), serve);
        if name.starts_with("fastwebsockets") || name.starts_with("yawc") {
            server.upgrade = Some("has it from hyper; here it begins behind a handshake by hand");
        }
        server
    };
    vec![
        peer("tokio-tungstenite", Tokio, None, tokio_tungstenite::<false>),
        peer(
            "tokio-tungstenite, batched",
            Tokio,
            None,
            tokio_tungstenite::<true>,
        ),
        peer("fastwebsockets", Tokio, None, fastwebsockets),
        peer("tokio-websockets", Tokio, None, tokio_websockets::<false>),
        peer(
            "tokio-websockets, batched",
            Tokio,
            None,
            tokio_websockets::<true>,
        ),
        peer("soketto", Tokio, None, soketto_on_tokio::<false>),
        peer("soketto, batched", Tokio, None, soketto_on_tokio::<true>),
        peer("yawc", Tokio, Full, yawc::<false>),
        peer("yawc, batched", Tokio, Full, yawc::<true>),
        peer("wtx", Tokio, WithoutTakeover, wtx),
        peer("sockudo-ws", Tokio, Full, sockudo::<false>),
        peer("sockudo-ws, batched", Tokio, Full, sockudo::<true>),
        peer("soketto on smol", Smol, None, soketto_on_smol::<false>),
        peer(
            "soketto on smol, batched",
            Smol,
            None,
            soketto_on_smol::<true>,
        ),
        peer("tungstenite", Blocking, None, tungstenite),
    ]
}

type Ended = Result<(), Box<dyn Error + Send + Sync>>;

/// The loop of most documents.
async fn simple<S, M, E>(mut socket: S, is_data: fn(&M) -> bool) -> Ended
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
    E: Error + Send + Sync + 'static,
{
    while let Some(message) = socket.next().await {
        let message = message?;
        if is_data(&message) {
            socket.send(message).await?;
        }
    }
    Ok(())
}

/// Takes up to `most` messages that are ready, then queues the answers; flushes when none is ready.
async fn batched<S, M, E>(mut socket: S, is_data: fn(&M) -> bool, most: usize) -> Ended
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
    E: Error + Send + Sync + 'static,
{
    let mut ready = Vec::with_capacity(most);
    loop {
        while ready.len() < most {
            match socket.next().now_or_never() {
                Some(Some(message)) => ready.push(message?),
                Some(None) => return Ok(()),
                None => break,
            }
        }
        if ready.is_empty() {
            socket.flush().await?;
            match socket.next().await {
                Some(message) => ready.push(message?),
                None => return Ok(()),
            }
        }
        for message in ready.drain(..) {
            if is_data(&message) {
                socket.feed(message).await?;
            }
        }
    }
}

fn tokio_tungstenite<const BATCHED: bool>(
    listener: TcpListener,
    _: Option<Takeover>,
) -> io::Result<()> {
    on_tokio(listener, |stream| async {
        let socket = tokio_tungstenite::accept_async(stream).await?;
        let is_data = |message: &tungstenite::Message| message.is_text() || message.is_binary();
        match BATCHED {
            true => batched(socket, is_data, 1).await,
            false => simple(socket, is_data).await,
        }
    })
}

/// Nobody can tell whether `read` would wait, so nothing is batched.
fn tungstenite(listener: TcpListener, _: Option<Takeover>) -> io::Result<()> {
    on_threads(listener, |stream| {
        let mut socket = tungstenite::accept(stream)?;
        loop {
            let message = socket.read()?;
            if message.is_text() || message.is_binary() {
                socket.send(message)?;
            }
        }
        #[expect(unreachable_code)]
        Ended::Ok(())
    })
}

fn fastwebsockets(listener: TcpListener, _: Option<Takeover>) -> io::Result<()> {
    use fastwebsockets::{FragmentCollector, OpCode, Role, WebSocket};
    on_tokio(listener, |mut stream| {
        unconstrained(async move {
            floor::upgrade(&mut stream, None).await?;
            let mut socket = WebSocket::after_handshake(stream, Role::Server);
            socket.set_max_message_size(LARGEST);
            let mut socket = FragmentCollector::new(socket);
            loop {
                let frame = socket.read_frame().await?;
                match frame.opcode {
                    OpCode::Close => return Ended::Ok(()),
                    OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
                    _ => {}
                }
            }
        })
    })
}

fn tokio_websockets<const BATCHED: bool>(
    listener: TcpListener,
    _: Option<Takeover>,
) -> io::Result<()> {
    use tokio_websockets::{Config, Limits, Message, ServerBuilder};
    on_tokio(listener, |stream| {
        unconstrained(async {
            let builder = ServerBuilder::new()
                .config(Config::default().frame_size(usize::MAX))
                .limits(Limits::unlimited());
            let (_, socket) = builder.accept(stream).await?;
            let is_data = |message: &Message| message.is_text() || message.is_binary();
            match BATCHED {
                // It writes what is queued whenever it is asked for a message.
                true => batched(socket, is_data, 256).await,
                false => simple(socket, is_data).await,
            }
        })
    })
}

fn soketto_on_tokio<const BATCHED: bool>(
    listener: TcpListener,
    _: Option<Takeover>,
) -> io::Result<()> {
    on_tokio(listener, |stream| soketto::<_, BATCHED>(stream.compat()))
}

fn soketto_on_smol<const BATCHED: bool>(
    listener: TcpListener,
    _: Option<Takeover>,
) -> io::Result<()> {
    on_smol(listener, soketto::<_, BATCHED>)
}

async fn soketto<S: AsyncRead + AsyncWrite + Unpin, const BATCHED: bool>(stream: S) -> Ended {
    use soketto::{
        Data,
        handshake::{Server, server::Response},
    };
    let mut server = Server::new(BufReader::new(BufWriter::new(stream)));
    let key = server.receive_request().await?.key();
    let accept = Response::Accept {
        key,
        protocol: None,
    };
    server.send_response(&accept).await?;
    let (mut sender, mut receiver) = server.into_builder().finish();
    let mut message = Vec::new();
    loop {
        message.clear();
        let kind = {
            // Dropped, it would lose what it has read.
            let mut received = pin!(receiver.receive_data(&mut message));
            match received.as_mut().now_or_never() {
                Some(kind) => kind?,
                None => {
                    if BATCHED {
                        sender.flush().await?;
                    }
                    received.await?
                }
            }
        };
        match kind {
            Data::Binary(_) => sender.send_binary_mut(&mut message).await?,
            Data::Text(_) => sender.send_text(str::from_utf8(&message)?).await?,
        }
        if !BATCHED {
            sender.flush().await?;
        }
    }
}

fn yawc<const BATCHED: bool>(
    listener: TcpListener,
    compression: Option<Takeover>,
) -> io::Result<()> {
    use yawc::{DeflateOptions, DeflatePool, Frame, OpCode, Options, Role, WebSocket};
    // It checks no UTF-8 unless it is told to, as RFC 6455 wants.
    let mut options = Options::default()
        .with_utf8()
        .with_limits(LARGEST, 2 * LARGEST);
    let mut extensions = None;
    if let Some(takeover) = compression {
        options.compression = Some(DeflateOptions::low_latency());
        extensions = Some("permessage-deflate");
        if !takeover {
            options = options
                .server_no_context_takeover()
                .client_no_context_takeover()
                .with_deflate_pool(DeflatePool::new(1));
            extensions = Some(WITHOUT_TAKEOVER);
        }
    }
    on_tokio(listener, move |mut stream| {
        let options = options.clone();
        async move {
            floor::upgrade(&mut stream, extensions).await?;
            let socket =
                WebSocket::from_stream_with_extensions(stream, Role::Server, extensions, options)?;
            let is_data = |frame: &Frame| matches!(frame.opcode(), OpCode::Text | OpCode::Binary);
            let socket = socket.map(Ok);
            match BATCHED {
                true => batched(socket, is_data, 1).await,
                false => simple(socket, is_data).await,
            }
        }
    })
}

const WITHOUT_TAKEOVER: &str =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

fn wtx(listener: TcpListener, compression: Option<Takeover>) -> io::Result<()> {
    use wtx::web_socket::{
        CompressionLevel, DeflateConfig, WebSocketAcceptor,
        compression::{Flate2, WindowBits},
    };
    on_tokio(listener, move |stream| async move {
        let acceptor = WebSocketAcceptor::default();
        if compression.is_none() {
            return wtx_echo(acceptor.accept(stream).await?).await;
        }
        let deflate = Flate2::from(DeflateConfig {
            client_max_window_bits: WindowBits::Fifteen,
            compression_level: CompressionLevel::One,
            server_max_window_bits: WindowBits::Fifteen,
        });
        wtx_echo(acceptor.compression(deflate).accept(stream).await?).await
    })
}

async fn wtx_echo<C: NegotiatedCompression, R: Rng>(
    mut socket: WebSocketOwned<C, R, TcpStream, false>,
) -> Ended {
    let (mut common, mut reader, mut writer) = socket.split_mut();
    let mut buffer = Vector::new();
    loop {
        buffer.clear();
        let adaptive = WebSocketPayloadOrigin::Adaptive;
        let mut frame = reader
            .read_frame(&mut buffer, &mut common, adaptive)
            .await?;
        match frame.op_code() {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => writer.write_frame(&mut common, &mut frame).await?,
            _ => {}
        }
    }
}

fn sockudo<const BATCHED: bool>(
    listener: TcpListener,
    compression: Option<Takeover>,
) -> io::Result<()> {
    use sockudo_ws::{
        CompressedWebSocketStream, Config, DeflateConfig, Message, WebSocketStream,
        deflate::negotiate_server_deflate,
        handshake::{build_response, generate_accept_key, parse_request, server_handshake},
    };
    sockudo_ws::init_clock();
    on_tokio(listener, move |mut stream| async move {
        let is_data = |message: &Message| matches!(message, Message::Text(_) | Message::Binary(_));
        let Some(takeover) = compression else {
            server_handshake(&mut stream).await?;
            let socket = WebSocketStream::server(stream, Config::default());
            return match BATCHED {
                true => batched(socket, is_data, 1).await,
                false => simple(socket, is_data).await,
            };
        };
        let policy = DeflateConfig {
            server_no_context_takeover: !takeover,
            client_no_context_takeover: !takeover,
            compression_level: 1,
            ..DeflateConfig::default()
        };
        let mut head = Vec::with_capacity(1024);
        let agreed = loop {
            stream.read_buf(&mut head).await?;
            if let Some((request, _)) = parse_request(&head)? {
                let offers = request.extensions.unwrap_or_default();
                let agreed = negotiate_server_deflate(offers, &policy).ok_or("no offer")?;
                let accept = generate_accept_key(request.key);
                let extensions = agreed.to_response_header();
                stream
                    .write_all(&build_response(&accept, None, Some(&extensions)))
                    .await?;
                break agreed.config;
            }
        };
        let socket = CompressedWebSocketStream::server(stream, Config::default(), agreed);
        match BATCHED {
            true => batched(socket, is_data, 1).await,
            false => simple(socket, is_data).await,
        }
    })
}
