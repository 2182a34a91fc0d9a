//! Other libraries, each in the loop that its documentation shows. A library that can queue messages
//! also runs in a loop that flushes when no more input is ready.

use std::{error::Error, io, net::TcpListener};

use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::unconstrained,
};

use crate::{
    floor,
    frames::Takeover,
    servers::{Deflate, Kind, Runtime, Server, on_tokio},
};

#[path = "peers/own.rs"]
mod own;

pub(crate) fn all() -> Vec<Server> {
    use {Deflate::*, Runtime::*};
    let peer = |name, runtime, deflate, serve| {
        let mut server = Server::new(name, (runtime, Kind::Peer, deflate), serve);
        if name.starts_with("fastwebsockets") || name.starts_with("yawc") {
            server.upgrade =
                Some("it uses hyper for the handshake; here it begins after a handshake by hand");
        }
        server
    };
    let tungstenite = "tokio-tungstenite, batched";
    let websockets = "tokio-websockets, batched";
    let smol = "soketto on smol, batched";
    vec![
        peer("tokio-tungstenite", Tokio, None, tokio_tungstenite::<EACH>),
        peer(tungstenite, Tokio, None, tokio_tungstenite::<1>),
        peer("fastwebsockets", Tokio, None, own::fastwebsockets),
        peer("tokio-websockets", Tokio, None, tokio_websockets::<EACH>),
        // The library writes its queue whenever it is asked for a message.
        peer(websockets, Tokio, None, tokio_websockets::<256>),
        peer("soketto", Tokio, None, own::soketto_on_tokio::<false>),
        peer(
            "soketto, batched",
            Tokio,
            None,
            own::soketto_on_tokio::<true>,
        ),
        peer("yawc", Tokio, Full, yawc::<EACH>),
        peer("yawc, batched", Tokio, Full, yawc::<1>),
        peer("wtx", Tokio, WithoutTakeover, own::wtx),
        peer("sockudo-ws", Tokio, Full, sockudo::<EACH>),
        peer("sockudo-ws, batched", Tokio, Full, sockudo::<1>),
        peer("soketto on smol", Smol, None, own::soketto_on_smol::<false>),
        peer(smol, Smol, None, own::soketto_on_smol::<true>),
        peer("tungstenite", Blocking, None, own::tungstenite),
    ]
}

/// Notes about the peers, for readers of the page.
pub(crate) const NOTES: &str = "\
    Peers run the loop of their documentation, which flushes each message. In batched rows, answers are queued \
    and flushed when no more input is ready. fastwebsockets and wtx queue nothing, and a thread with \
    tungstenite cannot ask whether a read would wait, so these have only one loop. All compress at level 1. \
    yawc is told to check UTF-8. soketto is not measured with compression, because that would bring in zlib in \
    C, and make crates that use zlib-rs use it too.";

type Ended = Result<(), Box<dyn Error + Send + Sync>>;

/// Answers and flushes each message before the next.
const EACH: usize = 0;

/// Answers up to `MOST` ready messages at a time, or one by one if `MOST` is `EACH`.
async fn echo<const MOST: usize, S, M, E>(mut socket: S, is_data: fn(&M) -> bool) -> Ended
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
    E: Error + Send + Sync + 'static,
{
    if MOST > EACH {
        return batched(socket, is_data, MOST).await;
    }
    while let Some(message) = socket.next().await {
        let message = message?;
        if is_data(&message) {
            socket.send(message).await?;
        }
    }
    Ok(())
}

/// Flushes when no message is ready.
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

fn tokio_tungstenite<const MOST: usize>(
    listener: TcpListener,
    _: Option<Takeover>,
) -> io::Result<()> {
    use tokio_tungstenite::tungstenite::Message;
    on_tokio(listener, |stream| async {
        let socket = tokio_tungstenite::accept_async(stream).await?;
        let is_data = |message: &Message| message.is_text() || message.is_binary();
        echo::<MOST, _, _, _>(socket, is_data).await
    })
}

fn tokio_websockets<const MOST: usize>(
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
            echo::<MOST, _, _, _>(socket, is_data).await
        })
    })
}

fn yawc<const MOST: usize>(listener: TcpListener, compression: Option<Takeover>) -> io::Result<()> {
    use yawc::{DeflateOptions, DeflatePool, Frame, OpCode, Options, Role, WebSocket};
    // By default it does not check UTF-8, as RFC 6455 requires, and takes no message of 1 MiB.
    let mut options = Options::default()
        .with_utf8()
        .with_limits(16 << 20, 32 << 20);
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
            echo::<MOST, _, _, _>(socket, is_data).await
        }
    })
}

const WITHOUT_TAKEOVER: &str =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

fn sockudo<const MOST: usize>(
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
            return echo::<MOST, _, _, _>(socket, is_data).await;
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
        echo::<MOST, _, _, _>(socket, is_data).await
    })
}
