//! The bindings, behind one trait, so that each test is written once.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "each runner includes this and uses a part of it"
)]

use std::{error::Error as StdError, future::Future, io, marker::PhantomData, net, sync::Arc};

use bind::{
    Connect, ConnectError, Error, TrySendError,
    proto::{
        Chunk, Closed, Config, ControlPayload, Event, IntoClose, Kind, Message, Negotiated,
        Outgoing, Role, State,
        handshake::{AnswerError, HandshakeError, Headers, Request, Response},
    },
};
use rustls::ServerConfig;

pub mod async_std;
mod blocking;
mod driven;
mod smol;
mod tokio;

pub use blocking::Blocking;
pub use driven::Driven;
pub use smol::Smol;
pub use tokio::Tokio;

/// A binding, over TCP. All futures run on tokio's runtime, and a call that blocks tells the runtime so.
pub trait Binding: Send + Sync + 'static {
    type Client: Socket;
    type Server: Socket;
    type TlsServer: Socket;
    type Incoming: Incoming<Socket = Self::Server>;

    fn connect(
        to: impl Into<Connect> + Send,
    ) -> impl Future<Output = Result<(Self::Client, Response), ConnectError>> + Send;

    fn connect_over(
        stream: net::TcpStream,
        to: impl Into<Connect> + Send,
    ) -> impl Future<Output = Result<(Self::Client, Response), ConnectError>> + Send;

    fn accept(
        stream: net::TcpStream,
        config: &Arc<Config>,
    ) -> impl Future<Output = Result<Self::Incoming, HandshakeError>> + Send;

    fn accept_any(
        stream: net::TcpStream,
        config: &Arc<Config>,
    ) -> impl Future<Output = Result<Self::Server, HandshakeError>> + Send;

    /// Accepts TLS with a server's configuration, and then any client.
    fn accept_tls(
        stream: net::TcpStream,
        tls: Arc<ServerConfig>,
        config: &Arc<Config>,
    ) -> impl Future<Output = Result<Self::TlsServer, HandshakeError>> + Send;

    fn from_parts(
        stream: net::TcpStream,
        leftover: &[u8],
        negotiated: Negotiated,
        role: Role,
        config: &Arc<Config>,
    ) -> Self::Server;

    /// Returns the peer's address, from the request's transport.
    fn asking_addr(incoming: &Self::Incoming) -> io::Result<net::SocketAddr>;
    fn server_addr(client: &Self::Client) -> io::Result<net::SocketAddr>;
    fn client_addr(server: &Self::Server) -> io::Result<net::SocketAddr>;
    /// Whether a client's small messages are sent at once.
    fn nodelay(client: &Self::Client) -> io::Result<bool>;
}

/// A client's request, to be accepted or refused.
pub trait Incoming: Sized + Send + 'static {
    type Socket: Socket;
    type NotAccepted: StdError + Send + Sync + 'static;

    fn request(&self) -> &Request;
    fn origin_allowed(&self, origins: &[&str]) -> bool;
    fn pick_subprotocol(&self, supported: &[&str]) -> Option<&str>;

    fn accept(
        self,
        subprotocol: Option<&str>,
        extra: Headers,
    ) -> impl Future<Output = Result<Self::Socket, Self::NotAccepted>> + Send;

    fn open(self) -> impl Future<Output = Self::Socket> + Send;
    fn refuse(self, response: Response) -> impl Future<Output = ()> + Send;

    /// Returns the reason and the request.
    fn again(failed: Self::NotAccepted) -> (AnswerError, Self);
}

/// A WebSocket of any binding.
pub trait Socket: Send + 'static {
    type ReadHalf: ReadHalf;
    type WriteHalf: WriteHalf;

    fn recv(&mut self) -> impl Future<Output = Result<Option<Message>, Error>> + Send;
    fn recv_event(&mut self) -> impl Future<Output = Result<Option<Event>, Error>> + Send;
    fn recv_chunk(&mut self) -> impl Future<Output = Result<Option<Chunk>, Error>> + Send;

    fn send(
        &mut self,
        message: impl Into<Outgoing> + Send,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    fn feed(
        &mut self,
        message: impl Into<Outgoing> + Send,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    fn flush(&mut self) -> impl Future<Output = Result<(), Error>> + Send;
    fn try_send(&mut self, message: impl Into<Outgoing>) -> Result<(), TrySendError>;
    fn send_chunk(
        &mut self,
        chunk: Chunk<impl Into<Outgoing> + Send>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Sends one message with `stream`, and finishes it after the last piece.
    fn send_pieces(
        &mut self,
        kind: Kind,
        pieces: Vec<impl Into<Outgoing> + Send>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Sends one message with `stream`, and drops the guard after the last piece.
    fn leave_pieces(
        &mut self,
        kind: Kind,
        pieces: Vec<Message>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    fn ping(&mut self, payload: ControlPayload) -> impl Future<Output = Result<(), Error>> + Send;
    fn pong(&mut self, payload: ControlPayload) -> impl Future<Output = Result<(), Error>> + Send;

    fn close(
        &mut self,
        frame: impl IntoClose + Send,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    fn finish(
        &mut self,
        frame: impl IntoClose + Send,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    fn abort(&mut self);
    fn closed(&self) -> Option<Closed>;
    fn state(&self) -> State;
    fn subprotocol(&self) -> Option<&str>;
    fn latency(&self) -> Option<std::time::Duration>;
    fn split(self) -> (Self::ReadHalf, Self::WriteHalf);
}

/// The read half of a WebSocket of any binding.
pub trait ReadHalf: Send + 'static {
    fn recv(&mut self) -> impl Future<Output = Result<Option<Message>, Error>> + Send;
    fn recv_event(&mut self) -> impl Future<Output = Result<Option<Event>, Error>> + Send;
    fn recv_chunk(&mut self) -> impl Future<Output = Result<Option<Chunk>, Error>> + Send;
    fn closed(&self) -> Option<Closed>;
    fn latency(&self) -> Option<std::time::Duration>;
}

/// The write half of a WebSocket of any binding.
pub trait WriteHalf: Clone + Send + Sync + 'static {
    fn send(
        &self,
        message: impl Into<Outgoing> + Send,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    fn feed(
        &self,
        message: impl Into<Outgoing> + Send,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    fn flush(&self) -> impl Future<Output = Result<(), Error>> + Send;
    fn try_send(&self, message: impl Into<Outgoing>) -> Result<(), TrySendError>;
    fn send_chunk(
        &self,
        chunk: Chunk<impl Into<Outgoing> + Send>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Sends one message with `stream`, and finishes it after the last piece.
    fn send_pieces(
        &self,
        kind: Kind,
        pieces: Vec<impl Into<Outgoing> + Send>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Sends one message with `stream`, and drops the guard after the last piece.
    fn leave_pieces(
        &self,
        kind: Kind,
        pieces: Vec<Message>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    fn ping(&self, payload: ControlPayload) -> impl Future<Output = Result<(), Error>> + Send;
    fn pong(&self, payload: ControlPayload) -> impl Future<Output = Result<(), Error>> + Send;

    fn close(&self, frame: impl IntoClose + Send)
    -> impl Future<Output = Result<(), Error>> + Send;

    fn finish(
        &self,
        frame: impl IntoClose + Send,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    fn abort(&self);
    fn closed(&self) -> Option<Closed>;
    fn state(&self) -> State;
}

/// A binding, with or without TLS.
pub trait Wire: 'static {
    type Client: Socket;
    type Server: Socket;
    const SCHEME: &'static str;

    fn connect(
        to: Connect,
    ) -> impl Future<Output = Result<(Self::Client, Response), ConnectError>> + Send;

    /// Accepts any client, with `tls` if there is TLS.
    fn accept(
        stream: net::TcpStream,
        tls: Arc<ServerConfig>,
        config: Arc<Config>,
    ) -> impl Future<Output = Result<Self::Server, HandshakeError>> + Send;
}

/// Without TLS.
#[derive(Debug)]
pub struct Plain<B>(PhantomData<B>);

impl<B: Binding> Wire for Plain<B> {
    type Client = B::Client;
    type Server = B::Server;
    const SCHEME: &'static str = "ws";

    async fn connect(to: Connect) -> Result<(B::Client, Response), ConnectError> {
        B::connect(to).await
    }

    async fn accept(
        stream: net::TcpStream,
        _: Arc<ServerConfig>,
        config: Arc<Config>,
    ) -> Result<B::Server, HandshakeError> {
        B::accept_any(stream, &config).await
    }
}

/// With TLS.
#[derive(Debug)]
pub struct Tls<B>(PhantomData<B>);

impl<B: Binding> Wire for Tls<B> {
    type Client = B::Client;
    type Server = B::TlsServer;
    const SCHEME: &'static str = "wss";

    async fn connect(to: Connect) -> Result<(B::Client, Response), ConnectError> {
        B::connect(to).await
    }

    async fn accept(
        stream: net::TcpStream,
        tls: Arc<ServerConfig>,
        config: Arc<Config>,
    ) -> Result<B::TlsServer, HandshakeError> {
        B::accept_tls(stream, tls, &config).await
    }
}
