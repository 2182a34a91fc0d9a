//! Queueing: checks outgoing messages and chooses the form of each (RFC 6455 §5.4, §5.5; RFC 7692 §6).

use super::{
    Sender,
    backlog::{Form, Item},
    outgoing::{Content, Outgoing, Prepared},
};
use crate::{
    close::code::CloseCode,
    error::SendError,
    message::{Chunk, ControlPayload, Kind, Message},
    wire::frame::OpCode,
};

impl Sender {
    /// Queues a whole message.
    ///
    /// Any amount is accepted; wait while [`is_full`](Self::is_full) returns true.
    #[inline]
    pub fn send(&mut self, message: impl Into<Outgoing>) -> Result<(), SendError> {
        let message = message.into();
        if self.frame_small(&message) {
            return Ok(());
        }
        self.send_whole(message, Self::accept)
    }

    /// Queues a whole message as [`send`](Self::send) does, but frames, masks and compresses it only when output is
    /// taken. Use it where the caller must return quickly.
    pub fn send_later(&mut self, message: impl Into<Outgoing>) -> Result<(), SendError> {
        self.send_whole(message.into(), Self::accept_later)
    }

    fn send_whole(
        &mut self,
        message: Outgoing,
        accept: fn(&mut Self, Item),
    ) -> Result<(), SendError> {
        self.check_open()?;
        if self.streamed.is_some() {
            return Err(SendError::Unfinished);
        }
        let (data, form) = match message.0 {
            Content::Message { message, compress } => {
                let form = self.form(compress, &message);
                (message, form)
            }
            Content::Prepared(prepared) => {
                let form = self.form_of(&prepared);
                (prepared.message().clone(), form)
            }
        };
        self.queue(Chunk { data, fin: true }, form, accept)
    }

    /// Queues the next piece of a message.
    ///
    /// The message begins with the first piece and ends with the piece that has `fin`; no other data can be queued
    /// in between. The last piece may be empty. RFC 6455 §5.4. If compression was agreed on, all pieces are
    /// compressed, each in a frame of its own, unless the first piece is [`uncompressed`](Outgoing::uncompressed): then none is.
    pub fn send_chunk(&mut self, chunk: Chunk<impl Into<Outgoing>>) -> Result<(), SendError> {
        self.check_open()?;
        let (data, compress) = match chunk.data.into().0 {
            Content::Message { message, compress } => (message, compress),
            Content::Prepared(prepared) => (prepared.message().clone(), true),
        };
        let fin = chunk.fin;
        let form = match self.streamed {
            Some((_, true)) if !compress => return Err(SendError::Compressed),
            Some((_, true)) => Form::Deflate,
            None if !fin && compress && self.deflater.is_some() => Form::Deflate,
            None if fin => self.form(compress, &data),
            _ => Form::Uncompressed,
        };
        self.queue(Chunk { data, fin }, form, Self::accept)
    }

    /// Abandons the message that [`send_chunk`](Self::send_chunk) has not finished, if there is one. The peer would
    /// take the next message for the remainder of this one, so this closes the connection with 1011, which RFC 6455
    /// §7.4.1 reserves for "an unexpected condition".
    pub fn abandon(&mut self) {
        if self.streamed.is_some() {
            self.close(Some(CloseCode::INTERNAL_ERROR.into()));
        }
    }

    /// §5.5.1: "MUST NOT send any more data frames after sending a Close frame."
    fn check_open(&self) -> Result<(), SendError> {
        if self.is_closing() {
            return Err(SendError::Closed);
        }
        Ok(())
    }

    fn queue(
        &mut self,
        chunk: Chunk,
        form: Form,
        accept: fn(&mut Self, Item),
    ) -> Result<(), SendError> {
        let Chunk { data, fin } = chunk;
        let kind = data.kind();
        let payload = data.into_bytes();
        if self.streamed.is_some_and(|(streamed, _)| streamed != kind) {
            return Err(SendError::KindChanged);
        }
        if payload.len() > self.config.max_send_size {
            return Err(SendError::TooBig {
                max: self.config.max_send_size as u64,
            });
        }
        if let Some(keys) = &mut self.keys {
            keys.refill()?;
        }
        let opcode = match (self.streamed, kind) {
            (Some(_), _) => OpCode::Continuation,
            (None, Kind::Text) => OpCode::Text,
            (None, Kind::Binary) => OpCode::Binary,
        };
        self.streamed = (!fin).then_some((kind, form == Form::Deflate));
        self.payload = self.payload.wrapping_add(payload.len() as u64);
        self.others = self.others.wrapping_add((!fin).into());
        let item = Item {
            opcode,
            fin,
            payload,
            form,
        };
        accept(self, item);
        Ok(())
    }

    /// Chooses the form of a whole message.
    fn form(&self, compress: bool, message: &Message) -> Form {
        match &self.deflater {
            Some(deflater) if compress && message.len() >= deflater.threshold() => Form::Deflate,
            _ => Form::Uncompressed,
        }
    }

    /// Chooses the form of a prepared message: one of its frames, if one fits.
    fn form_of(&self, prepared: &Prepared) -> Form {
        let frame = match (&self.deflater, prepared.deflated()) {
            (Some(deflater), Some((bits, frame))) => Some(frame).filter(|_| deflater.admits(*bits)),
            _ => Some(prepared.uncompressed()),
        };
        let most = self.config.send_frame_size.unwrap_or(usize::MAX);
        match frame {
            Some(frame) if self.keys.is_none() && frame.len() <= most => {
                Form::Framed(frame.clone())
            }
            _ => self.form(true, prepared.message()),
        }
    }

    /// Queues a Ping after the messages queued before it (RFC 6455 §5.5.2).
    pub fn ping(&mut self, payload: ControlPayload) -> Result<(), SendError> {
        self.control(OpCode::Ping, payload)
    }

    /// Queues an unsolicited Pong after the messages queued before it (RFC 6455 §5.5.3).
    pub fn pong(&mut self, payload: ControlPayload) -> Result<(), SendError> {
        self.control(OpCode::Pong, payload)
    }

    fn control(&mut self, opcode: OpCode, payload: ControlPayload) -> Result<(), SendError> {
        self.check_open()?;
        if let Some(keys) = &mut self.keys {
            keys.refill()?;
        }
        self.others = self.others.wrapping_add(1);
        self.pings = self.pings.wrapping_add((opcode == OpCode::Ping).into());
        self.accept(Item {
            opcode,
            fin: true,
            payload: payload.into(),
            form: Form::Uncompressed,
        });
        Ok(())
    }

    fn accept(&mut self, item: Item) {
        if self.backlog.is_none() && self.owed.is_empty() && self.waiting() < self.high_water() {
            self.progress.accepted = self.progress.accepted.saturating_add(1);
            self.frame_at_once(item);
        } else {
            self.accept_later(item);
        }
    }

    fn accept_later(&mut self, item: Item) {
        self.progress.accepted = self.progress.accepted.saturating_add(1);
        self.backlog.get_or_insert_default().push(item);
    }
}
