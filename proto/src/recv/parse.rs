//! The parser: from bytes to frames to events (RFC 6455 §5.2, §5.4, §5.5).

use alloc::boxed::Box;

use bytes::Bytes;

use super::{
    Receiver,
    ending::Phase,
    partial::{Mode, Partial, Step},
};
use crate::{
    close::{CloseFrame, Initiator},
    config::Role,
    error::ProtocolError,
    event::{Event, Pull},
    memory::spare,
    message::{Chunk, ControlPayload, Kind, Message},
    text::utf8,
    wire::{
        frame::{Header, OpCode},
        mask,
    },
};

impl Receiver {
    pub(super) fn parse(&mut self, pull: Pull) -> Result<Option<Event<Chunk>>, ProtocolError> {
        if !self.batch.is_empty() {
            // The batch stops at a text that is not UTF-8.
            return Err(ProtocolError::Utf8);
        }
        loop {
            if let Some(partial) = &mut self.partial {
                partial.pull_by(pull, self.config.max_message_size);
                let remaining = partial.remaining();
                let input = self.input.bytes();
                let taken = match &mut self.inflater {
                    Some(inflater) if partial.is_compressed() => {
                        partial.inflate(input, inflater, &self.config)?
                    }
                    _ => partial.absorb(input)?,
                };
                self.input.consume(taken);
                if partial.remaining() < remaining {
                    self.timers.handle_data();
                }
                match partial.next()? {
                    Step::Wait => return Ok(None),
                    Step::NextFrame => {}
                    Step::Skipped => self.end_message(),
                    Step::Chunk(chunk) => {
                        self.count(chunk.data.len(), chunk.fin);
                        if chunk.fin {
                            self.end_message();
                        }
                        return Ok(Some(Event::Data(chunk)));
                    }
                }
            }
            let bytes = self.input.bytes();
            let (Ok(decoded), Ok(())) = (Header::decode(bytes), self.check_start(bytes)) else {
                return Err(self.first_fault());
            };
            let Some((header, len)) = decoded else {
                return Ok(None);
            };
            let event = if header.opcode.is_control() {
                self.parse_control(&header, len)?
            } else {
                self.check_size(&header, pull)?;
                self.timers.handle_data();
                match self.parse_whole(&header, len)? {
                    None => {
                        self.begin_frame(&header, len, pull);
                        continue;
                    }
                    whole => whole,
                }
            };
            return Ok(event);
        }
    }

    /// Returns the fault that would show first if the header came byte by byte. The verdict on a frame with several
    /// faults then does not depend on how the input was cut.
    #[cold]
    fn first_fault(&self) -> ProtocolError {
        let bytes = self.input.bytes();
        let fault = (1..=bytes.len()).find_map(|len| {
            let start = bytes.get(..len)?;
            let decoded = Header::decode(start).and_then(|_| self.check_start(start));
            decoded.err()
        });
        fault.unwrap_or(ProtocolError::ReservedBits)
    }

    /// Checks what the first two bytes of a frame must be in this state.
    fn check_start(&self, bytes: &[u8]) -> Result<(), ProtocolError> {
        let mut bytes = bytes.iter();
        let Some(first) = bytes.next() else {
            return Ok(());
        };
        let opcode = OpCode::from_bits(*first);
        // §5.2: RSV1 "MUST be 0 unless an extension is negotiated"; RFC 7692 §6: it is set on "the first
        // fragment of the message" only, never on control frames.
        let compressible =
            self.inflater.is_some() && matches!(opcode, Some(OpCode::Text | OpCode::Binary));
        if first & 0x40 != 0 && !compressible {
            return Err(ProtocolError::ReservedBits);
        }
        // §5.4: fragments of one message "MUST NOT be interleaved" with those of another.
        match (opcode, &self.partial) {
            (Some(OpCode::Continuation), None) => return Err(ProtocolError::Continuation),
            (Some(OpCode::Text | OpCode::Binary), Some(_)) => {
                return Err(ProtocolError::Interleaved);
            }
            _ => {}
        }
        // §5.1: the server "MUST close the connection upon receiving a frame that is not masked",
        // a client "MUST close a connection if it detects a masked frame".
        match (self.role, bytes.next().map(|second| second & 0x80 != 0)) {
            (Role::Server, Some(false)) => Err(ProtocolError::Unmasked),
            (Role::Client, Some(true)) => Err(ProtocolError::Masked),
            _ => Ok(()),
        }
    }

    /// Checks the announced length against the limits, before anything is waited for or reserved.
    fn check_size(&mut self, header: &Header, pull: Pull) -> Result<(), ProtocolError> {
        if let Some(max) = self.config.max_frame_size
            && header.len > max
        {
            return Err(ProtocolError::FrameTooBig { max });
        }
        let (mode, total, frames, compressed) = match &mut self.partial {
            Some(partial) => (
                partial.pull_by(pull, self.config.max_message_size),
                partial.total(),
                partial.frames(),
                partial.is_compressed(),
            ),
            None => (pull.into(), 0, 0, header.rsv1),
        };
        // A compressed message is counted while it is inflated.
        let announced = if compressed { 0 } else { header.len };
        let total = total.saturating_add(announced);
        match mode {
            Mode::Whole => {
                let max = self.config.max_message_size as u64;
                if total > max {
                    return Err(ProtocolError::MessageTooBig { max });
                }
            }
            Mode::Chunks | Mode::Skip => {
                let max = self.config.max_stream_size;
                if total > max {
                    return Err(ProtocolError::StreamTooBig { max });
                }
            }
        }
        let max = self.config.max_fragments.max(1);
        if frames >= max {
            return Err(ProtocolError::TooManyFragments { max });
        }
        Ok(())
    }

    fn parse_control(
        &mut self,
        header: &Header,
        len: usize,
    ) -> Result<Option<Event<Chunk>>, ProtocolError> {
        let (_, rest) = self
            .input
            .bytes_mut()
            .split_at_mut_checked(len)
            .unwrap_or_default();
        let Some(payload) = usize::try_from(header.len)
            .ok()
            .and_then(|size| rest.get_mut(..size))
        else {
            return Ok(None);
        };
        mask::apply(payload, header.mask.unwrap_or_default(), 0);
        let total = len.saturating_add(payload.len());
        if header.opcode == OpCode::Close {
            let frame = CloseFrame::decode(payload)?;
            self.input.consume(total);
            return Ok(Some(Event::Close(self.handle_close(frame))));
        }
        let payload = ControlPayload::from_checked(Bytes::copy_from_slice(payload));
        self.input.consume(total);
        Ok(Some(match header.opcode {
            OpCode::Ping => {
                // §5.5.2: "MUST send a Pong frame in response".
                self.owed.slots().pong = Some(payload.clone());
                self.timers.handle_ping();
                Event::Ping(payload)
            }
            _ => {
                self.timers.handle_pong(&payload);
                Event::Pong(payload)
            }
        }))
    }

    fn handle_close(&mut self, frame: Option<CloseFrame>) -> Option<CloseFrame> {
        // §5.5.1: an endpoint that "did not previously send a Close frame … MUST send" one.
        if self.config.reply_to_close {
            self.owed.slots().close = Some(frame.clone());
        }
        let ending = self.ending();
        ending.close = Some(frame.clone());
        ending.initiator.get_or_insert(Initiator::Peer);
        self.phase = Phase::Draining;
        self.discard();
        self.handle_closing();
        frame
    }

    /// Parses a message that is one frame and has come whole; it gets memory of its own size.
    fn parse_whole(
        &mut self,
        header: &Header,
        len: usize,
    ) -> Result<Option<Event<Chunk>>, ProtocolError> {
        let (_, rest) = self.input.bytes().split_at_checked(len).unwrap_or_default();
        let Some(payload) = usize::try_from(header.len)
            .ok()
            .and_then(|size| rest.get(..size))
        else {
            return Ok(None);
        };
        if !header.fin || header.rsv1 || self.partial.is_some() {
            return Ok(None);
        }
        let total = len.saturating_add(payload.len());
        let (memory, start) = spare::unmasked(payload, header.mask.unwrap_or_default());
        let payload = memory.get(start..).unwrap_or_default();
        let kind = kind(header.opcode);
        if kind == Kind::Text && !utf8::is_utf8(payload) {
            return Err(ProtocolError::Utf8);
        }
        self.count(payload.len(), true);
        self.input.consume(total);
        let data = Message::from_checked(kind, spare::share(memory, start));
        Ok(Some(Event::Data(Chunk { data, fin: true })))
    }

    fn begin_frame(&mut self, header: &Header, len: usize, pull: Pull) {
        self.input.consume(len);
        if self.partial.is_none() && !self.is_closing() {
            self.timers.handle_message(&self.config);
        }
        let partial = self.partial.get_or_insert_with(|| {
            Box::new(Partial::new(kind(header.opcode), header.rsv1, pull.into()))
        });
        partial.begin(header);
    }

    fn end_message(&mut self) {
        self.partial = None;
        self.timers.handle_message_end();
    }
}

fn kind(opcode: OpCode) -> Kind {
    if opcode == OpCode::Text {
        Kind::Text
    } else {
        Kind::Binary
    }
}
