//! Peers that are no `Stream` and `Sink`, and therefore have loops of their own.

use std::{convert::Infallible, error::Error, io, net::TcpListener, pin::pin};

use futures_util::{
    FutureExt,
    io::{AsyncRead, AsyncWrite, BufReader, BufWriter},
};
use tokio::{net::TcpStream, task::unconstrained};
use tokio_util::compat::TokioAsyncReadCompatExt;
use wtx::{
    collection::Vector,
    rng::Rng,
    web_socket::{
        OpCode, WebSocketOwned, WebSocketPayloadOrigin, compression::NegotiatedCompression,
    },
};

use super::Ended;
use crate::{
    floor,
    frames::Takeover,
    servers::{on_smol, on_threads, on_tokio},
};

pub(super) fn tungstenite(listener: TcpListener, _: Option<Takeover>) -> io::Result<()> {
    fn echo(stream: std::net::TcpStream) -> Result<Infallible, Box<dyn Error + Send + Sync>> {
        let mut socket = tokio_tungstenite::tungstenite::accept(stream)?;
        loop {
            let message = socket.read()?;
            if message.is_text() || message.is_binary() {
                socket.send(message)?;
            }
        }
    }
    on_threads(listener, echo)
}

pub(super) fn fastwebsockets(listener: TcpListener, _: Option<Takeover>) -> io::Result<()> {
    use fastwebsockets::{FragmentCollector, OpCode, Role, WebSocket};
    on_tokio(listener, |mut stream| {
        unconstrained(async move {
            floor::upgrade(&mut stream, None).await?;
            let socket = WebSocket::after_handshake(stream, Role::Server);
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

pub(super) fn soketto_on_tokio<const BATCHED: bool>(
    listener: TcpListener,
    _: Option<Takeover>,
) -> io::Result<()> {
    on_tokio(listener, |stream| soketto::<_, BATCHED>(stream.compat()))
}

pub(super) fn soketto_on_smol<const BATCHED: bool>(
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
            // If this future were dropped, the bytes that it has read would be lost.
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

pub(super) fn wtx(listener: TcpListener, compression: Option<Takeover>) -> io::Result<()> {
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
