//! `Stream` and `Sink` for the socket and its halves (feature `futures`).
//!
//! A stream ends when the connection has closed. Closing a sink sends a Close with 1000; go on
//! with the stream until its end, which completes the closing handshake.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use futures_sink::Sink;
use proto::{CloseCode, CloseFrame, Message};

use crate::{
    Error, ReadHalf, Transport, WebSocket, WriteHalf, driver::Call, output::Output, shared::Waiter,
    wakers::Key,
};

/// As [`recv`](WebSocket::recv).
impl<S: Transport + Unpin> Stream for WebSocket<S> {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut().with_lanes();
        this.poll_recv(Key::STREAM, cx).map(Result::transpose)
    }
}

/// As [`recv`](ReadHalf::recv).
impl<S: Transport + Unpin> Stream for ReadHalf<S> {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_recv(cx).map(Result::transpose)
    }
}

/// As [`feed`](WebSocket::feed), [`flush`](WebSocket::flush) and [`finish`](WebSocket::finish).
impl<S: Transport + Unpin> Sink<Message> for WebSocket<S> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let this = self.get_mut().with_lanes();
        this.poll_output(Key::SINK, cx, |output, cx| {
            output.poll_queue(cx, |_| Ok(()))
        })
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.get_mut().with_output(|output, _| {
            let sent = output.tx.send(message);
            sent.map_err(|error| output.refuse(error))
        })
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let this = self.get_mut().with_lanes();
        let count = this.accepted();
        this.poll_output(Key::SINK, cx, |output, cx| output.poll_left(cx, count))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let this = self.get_mut().with_lanes();
        this.begin_close(Some(normal()));
        this.poll_output(Key::SINK, cx, Output::poll_all)
    }
}

/// What the sink of a write half keeps between its calls.
pub(crate) struct Sending<S: Transport> {
    waiter: Waiter<S>,
    /// What could not be queued, because a guard owned the outgoing message.
    item: Option<Message>,
    /// Up to where a flush that has begun goes.
    count: Option<u64>,
}

impl<S: Transport> Sending<S> {
    /// Ready when what was held back is queued, and there is room for more.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let (key, item) = (self.waiter.key(), &mut self.item);
        self.waiter.poll(cx, Call::Sends, |output, cx| {
            if output.holds_back(key) {
                return Poll::Pending;
            }
            output.poll_turn(cx, key, |tx| {
                item.take().map_or(Ok(()), |message| tx.send(message))
            })
        })
    }
}

impl<S: Transport> fmt::Debug for Sending<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending")
            .field("item", &self.item.is_some())
            .finish_non_exhaustive()
    }
}

/// As [`feed`](WriteHalf::feed), [`flush`](WriteHalf::flush) and [`finish`](WriteHalf::finish).
impl<S: Transport + Unpin> Sink<Message> for WriteHalf<S> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.get_mut().sending().poll_ready(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        let this = self.get_mut();
        let shared = this.shared.clone();
        let sending = this.sending();
        sending.count = None;
        shared.with(None, |output, _| {
            if output.guarded && !output.tx.is_closing() {
                sending.item = Some(message);
                return Ok(());
            }
            let sent = output.tx.send(message);
            sent.map_err(|error| output.refuse(error))
        })
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let sending = self.get_mut().sending();
        if sending.item.is_some() {
            ready!(sending.poll_ready(cx))?;
        }
        let count = &mut sending.count;
        let left = sending.waiter.poll(cx, Call::Sends, |output, cx| {
            let count = *count.get_or_insert(output.tx.accepted());
            output.poll_left(cx, count)
        });
        ready!(left)?;
        sending.count = None;
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let this = self.get_mut();
        if this.sending().item.is_some() {
            ready!(this.sending().poll_ready(cx))?;
        }
        this.begin_close(Some(normal()));
        this.sending()
            .waiter
            .poll(cx, Call::Sends, Output::poll_all)
    }
}

impl<S: Transport> WriteHalf<S> {
    fn sending(&mut self) -> &mut Sending<S> {
        self.sink.get_or_insert_with(|| {
            Box::new(Sending {
                waiter: Waiter::new(&self.shared),
                item: None,
                count: None,
            })
        })
    }
}

fn normal() -> CloseFrame {
    CloseCode::NORMAL.into()
}
