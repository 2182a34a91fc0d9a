//! `Stream` and `Sink` for the socket and its halves (feature `futures`).
//!
//! A stream ends when the connection has closed. Closing a sink sends a Close with 1000. Read the stream to its end
//! afterwards, which completes the closing handshake.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use futures_sink::Sink;
use proto::{CloseCode, CloseFrame, Message};

use crate::{
    driver::Call, error::Error, output::Output, read_half::ReadHalf, socket::WebSocket,
    transport::Transport, wakers::Key, write_half::WriteHalf,
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
        this.poll_output(Key::SINK, cx, |output, cx| output.poll_sent(cx, count))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let this = self.get_mut().with_lanes();
        this.begin_close(Some(normal()));
        this.poll_output(Key::SINK, cx, Output::poll_all)
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
        let sent = sending.waiter.poll(cx, Call::Sends, |output, cx| {
            let count = *count.get_or_insert(output.tx.accepted());
            output.poll_sent(cx, count)
        });
        ready!(sent)?;
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

fn normal() -> CloseFrame {
    CloseCode::NORMAL.into()
}
