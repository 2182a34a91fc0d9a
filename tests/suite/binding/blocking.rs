//! bowline-blocking over the TCP streams of std. Every call that may block tells tokio's runtime so.

use std::{
    io,
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use ::tokio::task::block_in_place;
use bind::{
    Connect, ConnectError, Error, TrySendError,
    proto::{
        Chunk, Closed, Config, ControlPayload, Event, IntoClose, Kind, Message, Negotiated,
        Outgoing, Role, State,
        handshake::{AnswerError, HandshakeError, Headers, Request, Response},
    },
};
use bowline_blocking::{ClientStream, Io, OptionalTls, Transport, WebSocket};
use rustls::ServerConfig;

use super::{Binding, Incoming, ReadHalf, Socket, WriteHalf};

#[derive(Debug)]
pub struct Blocking;

impl Binding for Blocking {
    type Client = WebSocket<ClientStream>;
    type Server = WebSocket<Io<TcpStream>>;
    type TlsServer = WebSocket<OptionalTls<Io<TcpStream>>>;
    type Incoming = bowline_blocking::Incoming<Io<TcpStream>>;

    async fn connect(
        to: impl Into<Connect> + Send,
    ) -> Result<(Self::Client, Response), ConnectError> {
        block_in_place(|| bowline_blocking::connect(to))
    }

    async fn connect_over(
        stream: TcpStream,
        to: impl Into<Connect> + Send,
    ) -> Result<(Self::Client, Response), ConnectError> {
        block_in_place(|| bowline_blocking::connect_over(blocking(stream), to))
    }

    async fn accept(
        stream: TcpStream,
        config: &Arc<Config>,
    ) -> Result<Self::Incoming, HandshakeError> {
        block_in_place(|| {
            bowline_blocking::accept(blocking(stream), config.clone().clone().clone().clone())
        })
    }

    async fn accept_any(
        stream: TcpStream,
        config: &Arc<Config>,
    ) -> Result<Self::Server, HandshakeError> {
        block_in_place(|| {
            bowline_blocking::accept_any(blocking(stream), config.clone().clone().clone().clone())
        })
    }

    async fn accept_tls(
        stream: TcpStream,
        tls: Arc<ServerConfig>,
        config: &Arc<Config>,
    ) -> Result<Self::TlsServer, HandshakeError> {
        let accept = || {
            bowline_blocking::accept_tls(
                blocking(stream),
                Some(tls),
                config.clone().clone().clone().clone(),
            )
        };
        Ok(block_in_place(accept)?.open())
    }

    fn from_parts(
        stream: TcpStream,
        leftover: &[u8],
        negotiated: Negotiated,
        role: Role,
        config: &Arc<Config>,
    ) -> Self::Server {
        bowline_blocking::from_parts(
            blocking(stream),
            leftover,
            negotiated,
            role,
            config.clone().clone().clone().clone(),
        )
    }

    fn asking_addr(incoming: &Self::Incoming) -> io::Result<SocketAddr> {
        incoming.get_ref().peer_addr()
    }

    fn server_addr(client: &Self::Client) -> io::Result<SocketAddr> {
        client.peer_addr()
    }

    fn client_addr(server: &Self::Server) -> io::Result<SocketAddr> {
        server.peer_addr()
    }

    fn nodelay(client: &Self::Client) -> io::Result<bool> {
        client
            .get_ref()
            .and_then(|io| io.get_ref())
            .expect("it is open")
            .nodelay()
    }
}

fn blocking(stream: TcpStream) -> TcpStream {
    stream.set_nonblocking(false).expect("a socket");
    stream
}

impl<S: Transport<Clock: Send + Sync> + Send + Sync + 'static> Incoming
    for bowline_blocking::Incoming<S>
{
    type Socket = WebSocket<S>;
    type NotAccepted = bowline_blocking::NotAccepted<S>;

    fn request(&self) -> &Request {
        self.request()
    }

    fn origin_allowed(&self, origins: &[&str]) -> bool {
        self.origin_allowed(origins)
    }

    fn pick_subprotocol(&self, supported: &[&str]) -> Option<&str> {
        self.pick_subprotocol(supported)
    }

    async fn accept(
        self,
        subprotocol: Option<&str>,
        extra: Headers,
    ) -> Result<Self::Socket, Self::NotAccepted> {
        block_in_place(|| self.accept(subprotocol, extra))
    }

    async fn open(self) -> Self::Socket {
        block_in_place(|| self.open())
    }

    async fn refuse(self, response: Response) {
        block_in_place(|| self.refuse(response));
    }

    fn again(failed: Self::NotAccepted) -> (AnswerError, Self) {
        (failed.error, *failed.incoming)
    }
}

impl<S: Transport<Clock: Send + Sync> + Send + Sync + 'static> Socket for WebSocket<S> {
    type ReadHalf = bowline_blocking::ReadHalf<S>;
    type WriteHalf = bowline_blocking::WriteHalf<S>;

    async fn recv(&mut self) -> Result<Option<Message>, Error> {
        block_in_place(|| self.recv())
    }

    async fn recv_event(&mut self) -> Result<Option<Event>, Error> {
        block_in_place(|| self.recv_event())
    }

    async fn recv_chunk(&mut self) -> Result<Option<Chunk>, Error> {
        block_in_place(|| self.recv_chunk())
    }

    async fn send(&mut self, message: impl Into<Outgoing> + Send) -> Result<(), Error> {
        block_in_place(|| self.send(message))
    }

    async fn feed(&mut self, message: impl Into<Outgoing> + Send) -> Result<(), Error> {
        block_in_place(|| self.feed(message))
    }

    async fn flush(&mut self) -> Result<(), Error> {
        block_in_place(|| self.flush())
    }

    fn try_send(&mut self, message: impl Into<Outgoing>) -> Result<(), TrySendError> {
        block_in_place(|| self.try_send(message))
    }

    async fn send_chunk(&mut self, chunk: Chunk<impl Into<Outgoing> + Send>) -> Result<(), Error> {
        block_in_place(|| self.send_chunk(chunk))
    }

    async fn send_pieces(
        &mut self,
        kind: Kind,
        pieces: Vec<impl Into<Outgoing> + Send>,
    ) -> Result<(), Error> {
        block_in_place(|| {
            let mut message = self.stream(kind)?;
            for piece in pieces {
                message.write(piece)?;
            }
            message.finish()
        })
    }

    async fn leave_pieces(&mut self, kind: Kind, pieces: Vec<Message>) -> Result<(), Error> {
        block_in_place(|| {
            let mut message = self.stream(kind)?;
            for piece in pieces {
                message.write(piece)?;
            }
            Ok(())
        })
    }

    async fn ping(&mut self, payload: ControlPayload) -> Result<(), Error> {
        block_in_place(|| self.ping(payload))
    }

    async fn pong(&mut self, payload: ControlPayload) -> Result<(), Error> {
        block_in_place(|| self.pong(payload))
    }

    async fn close(&mut self, frame: impl IntoClose + Send) -> Result<(), Error> {
        block_in_place(|| self.close(frame))
    }

    async fn finish(&mut self, frame: impl IntoClose + Send) -> Result<(), Error> {
        block_in_place(|| self.finish(frame))
    }

    fn abort(&mut self) {
        block_in_place(|| self.abort());
    }

    fn closed(&self) -> Option<Closed> {
        self.closed().cloned()
    }

    fn state(&self) -> State {
        self.state()
    }

    fn subprotocol(&self) -> Option<&str> {
        self.subprotocol()
    }

    fn latency(&self) -> Option<Duration> {
        self.latency()
    }

    fn split(self) -> (Self::ReadHalf, Self::WriteHalf) {
        self.split()
    }
}

impl<S: Transport<Clock: Send + Sync> + Send + Sync + 'static> ReadHalf
    for bowline_blocking::ReadHalf<S>
{
    async fn recv(&mut self) -> Result<Option<Message>, Error> {
        block_in_place(|| self.recv())
    }

    async fn recv_event(&mut self) -> Result<Option<Event>, Error> {
        block_in_place(|| self.recv_event())
    }

    async fn recv_chunk(&mut self) -> Result<Option<Chunk>, Error> {
        block_in_place(|| self.recv_chunk())
    }

    fn closed(&self) -> Option<Closed> {
        self.closed()
    }

    fn latency(&self) -> Option<Duration> {
        self.latency()
    }
}

impl<S: Transport<Clock: Send + Sync> + Send + Sync + 'static> WriteHalf
    for bowline_blocking::WriteHalf<S>
{
    async fn send(&self, message: impl Into<Outgoing> + Send) -> Result<(), Error> {
        block_in_place(|| self.send(message))
    }

    async fn feed(&self, message: impl Into<Outgoing> + Send) -> Result<(), Error> {
        block_in_place(|| self.feed(message))
    }

    async fn flush(&self) -> Result<(), Error> {
        block_in_place(|| self.flush())
    }

    fn try_send(&self, message: impl Into<Outgoing>) -> Result<(), TrySendError> {
        block_in_place(|| self.try_send(message))
    }

    async fn send_chunk(&self, chunk: Chunk<impl Into<Outgoing> + Send>) -> Result<(), Error> {
        block_in_place(|| self.send_chunk(chunk))
    }

    async fn send_pieces(
        &self,
        kind: Kind,
        pieces: Vec<impl Into<Outgoing> + Send>,
    ) -> Result<(), Error> {
        block_in_place(|| {
            let mut message = self.stream(kind)?;
            for piece in pieces {
                message.write(piece)?;
            }
            message.finish()
        })
    }

    async fn leave_pieces(&self, kind: Kind, pieces: Vec<Message>) -> Result<(), Error> {
        block_in_place(|| {
            let mut message = self.stream(kind)?;
            for piece in pieces {
                message.write(piece)?;
            }
            Ok(())
        })
    }

    async fn ping(&self, payload: ControlPayload) -> Result<(), Error> {
        block_in_place(|| self.ping(payload))
    }

    async fn pong(&self, payload: ControlPayload) -> Result<(), Error> {
        block_in_place(|| self.pong(payload))
    }

    async fn close(&self, frame: impl IntoClose + Send) -> Result<(), Error> {
        block_in_place(|| self.close(frame))
    }

    async fn finish(&self, frame: impl IntoClose + Send) -> Result<(), Error> {
        block_in_place(|| self.finish(frame))
    }

    fn abort(&self) {
        block_in_place(|| self.abort());
    }

    fn closed(&self) -> Option<Closed> {
        self.closed()
    }

    fn state(&self) -> State {
        self.state()
    }
}
