//! The sockets of all bindings that have futures, which are the driver's.

use std::{net::TcpStream, sync::Arc, time::Duration};

use bind::{
    Error, Transport, TrySendError,
    proto::{
        Chunk, Closed, Config, ControlPayload, Event, IntoClose, Kind, Message, Outgoing, Role,
        State,
        handshake::{AnswerError, Headers, Request, Response},
    },
};

use super::{Binding, Incoming, ReadHalf, Socket, WriteHalf};

/// A binding that uses the driver's sockets, with futures, `Stream` and `Sink`.
pub trait Driven: Binding {
    type Stream: Transport<Clock: Send + Sync> + Send + Sync + Unpin + 'static;

    /// Makes a socket whose opening handshake is done.
    fn open(stream: TcpStream, role: Role, config: &Arc<Config>) -> bind::WebSocket<Self::Stream>;
}

impl<S> Incoming for bind::Incoming<S>
where
    S: Transport<Clock: Send + Sync> + Send + Sync + 'static,
{
    type Socket = bind::WebSocket<S>;
    type NotAccepted = bind::NotAccepted<S>;

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
        self.accept(subprotocol, extra).await
    }

    async fn open(self) -> Self::Socket {
        self.open().await
    }

    async fn refuse(self, response: Response) {
        self.refuse(response).await;
    }

    fn again(failed: Self::NotAccepted) -> (AnswerError, Self) {
        (failed.error, *failed.incoming)
    }
}

impl<S> Socket for bind::WebSocket<S>
where
    S: Transport<Clock: Send + Sync> + Send + Sync + 'static,
{
    type ReadHalf = bind::ReadHalf<S>;
    type WriteHalf = bind::WriteHalf<S>;

    async fn recv(&mut self) -> Result<Option<Message>, Error> {
        self.recv().await
    }

    async fn recv_event(&mut self) -> Result<Option<Event>, Error> {
        self.recv_event().await
    }

    async fn recv_chunk(&mut self) -> Result<Option<Chunk>, Error> {
        self.recv_chunk().await
    }

    async fn send(&mut self, message: impl Into<Outgoing> + Send) -> Result<(), Error> {
        self.send(message).await
    }

    async fn feed(&mut self, message: impl Into<Outgoing> + Send) -> Result<(), Error> {
        self.feed(message).await
    }

    async fn flush(&mut self) -> Result<(), Error> {
        self.flush().await
    }

    fn try_send(&mut self, message: impl Into<Outgoing>) -> Result<(), TrySendError> {
        self.try_send(message)
    }

    async fn send_chunk(&mut self, chunk: Chunk<impl Into<Outgoing> + Send>) -> Result<(), Error> {
        self.send_chunk(chunk).await
    }

    async fn send_pieces(
        &mut self,
        kind: Kind,
        pieces: Vec<impl Into<Outgoing> + Send>,
    ) -> Result<(), Error> {
        let mut message = self.stream(kind).await?;
        for piece in pieces {
            message.write(piece).await?;
        }
        message.finish().await
    }

    async fn leave_pieces(&mut self, kind: Kind, pieces: Vec<Message>) -> Result<(), Error> {
        let mut message = self.stream(kind).await?;
        for piece in pieces {
            message.write(piece).await?;
        }
        Ok(())
    }

    async fn ping(&mut self, payload: ControlPayload) -> Result<(), Error> {
        self.ping(payload).await
    }

    async fn pong(&mut self, payload: ControlPayload) -> Result<(), Error> {
        self.pong(payload).await
    }

    async fn close(&mut self, frame: impl IntoClose + Send) -> Result<(), Error> {
        self.close(frame).await
    }

    async fn finish(&mut self, frame: impl IntoClose + Send) -> Result<(), Error> {
        self.finish(frame).await
    }

    fn abort(&mut self) {
        self.abort();
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

impl<S> ReadHalf for bind::ReadHalf<S>
where
    S: Transport<Clock: Send + Sync> + Send + Sync + 'static,
{
    async fn recv(&mut self) -> Result<Option<Message>, Error> {
        self.recv().await
    }

    async fn recv_event(&mut self) -> Result<Option<Event>, Error> {
        self.recv_event().await
    }

    async fn recv_chunk(&mut self) -> Result<Option<Chunk>, Error> {
        self.recv_chunk().await
    }

    fn closed(&self) -> Option<Closed> {
        self.closed()
    }

    fn latency(&self) -> Option<Duration> {
        self.latency()
    }
}

impl<S> WriteHalf for bind::WriteHalf<S>
where
    S: Transport<Clock: Send + Sync> + Send + Sync + 'static,
{
    async fn send(&self, message: impl Into<Outgoing> + Send) -> Result<(), Error> {
        self.send(message).await
    }

    async fn feed(&self, message: impl Into<Outgoing> + Send) -> Result<(), Error> {
        self.feed(message).await
    }

    async fn flush(&self) -> Result<(), Error> {
        self.flush().await
    }

    fn try_send(&self, message: impl Into<Outgoing>) -> Result<(), TrySendError> {
        self.try_send(message)
    }

    async fn send_chunk(&self, chunk: Chunk<impl Into<Outgoing> + Send>) -> Result<(), Error> {
        self.send_chunk(chunk).await
    }

    async fn send_pieces(
        &self,
        kind: Kind,
        pieces: Vec<impl Into<Outgoing> + Send>,
    ) -> Result<(), Error> {
        let mut message = self.stream(kind).await?;
        for piece in pieces {
            message.write(piece).await?;
        }
        message.finish().await
    }

    async fn leave_pieces(&self, kind: Kind, pieces: Vec<Message>) -> Result<(), Error> {
        let mut message = self.stream(kind).await?;
        for piece in pieces {
            message.write(piece).await?;
        }
        Ok(())
    }

    async fn ping(&self, payload: ControlPayload) -> Result<(), Error> {
        self.ping(payload).await
    }

    async fn pong(&self, payload: ControlPayload) -> Result<(), Error> {
        self.pong(payload).await
    }

    async fn close(&self, frame: impl IntoClose + Send) -> Result<(), Error> {
        self.close(frame).await
    }

    async fn finish(&self, frame: impl IntoClose + Send) -> Result<(), Error> {
        self.finish(frame).await
    }

    fn abort(&self) {
        self.abort();
    }

    fn closed(&self) -> Option<Closed> {
        self.closed()
    }

    fn state(&self) -> State {
        self.state()
    }
}
