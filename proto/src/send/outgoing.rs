//! Outgoing messages, compressed or not, and prepared messages.

use alloc::{sync::Arc, vec::Vec};

use bytes::Bytes;

use crate::{
    config::Config,
    deflate,
    message::{Kind, Message},
    wire::frame::{Header, OpCode},
};

/// A message to send, or a piece of one. It is made from anything that converts to a [`Message`], and from
/// [`Prepared`].
#[derive(Clone, Debug)]
pub struct Outgoing(pub(crate) Content);

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Message { message: Message, compress: bool },
    Prepared(Prepared),
}

impl Outgoing {
    /// Makes a message that is not compressed even if compression was agreed on. Use it for a message that contains
    /// a secret (see [`deflate`](crate::deflate#secrets)), or that would not get smaller. A message that is sent in
    /// pieces is uncompressed if its first piece is. Without the feature `deflate` nothing is compressed anyway.
    pub fn uncompressed(message: impl Into<Message>) -> Self {
        Self(Content::Message {
            message: message.into(),
            compress: false,
        })
    }

    /// Returns its content.
    pub fn message(&self) -> &Message {
        match &self.0 {
            Content::Message { message, .. } => message,
            Content::Prepared(prepared) => prepared.message(),
        }
    }
}

impl<M: Into<Message>> From<M> for Outgoing {
    fn from(message: M) -> Self {
        Self(Content::Message {
            message: message.into(),
            compress: true,
        })
    }
}

impl From<Prepared> for Outgoing {
    fn from(prepared: Prepared) -> Self {
        Self(Content::Prepared(prepared))
    }
}

impl From<&Prepared> for Outgoing {
    fn from(prepared: &Prepared) -> Self {
        prepared.clone().into()
    }
}

/// A message that is framed and compressed once, to be sent to many peers. Cloning and sending share its memory.
///
/// Servers send the prepared frames as they are, up to [`send_frame_size`](Config::send_frame_size); a client must
/// mask each anew. The compressed frame is used on connections that agreed on no context takeover in our direction
/// and on a window that is not smaller. On all others it is sent like any other message.
#[derive(Clone, Debug)]
pub struct Prepared(Arc<Frames>);

#[derive(Debug)]
struct Frames {
    message: Message,
    /// The whole uncompressed frame; `message` is a part of it.
    uncompressed: Bytes,
    /// The compressed frame, with the number of window bits it needs.
    deflated: Option<(u8, Bytes)>,
}

impl Prepared {
    /// Frames `message`, and compresses it if `config` enables compression and it gets smaller. Use the `config` of
    /// the connections. Takes time and memory for the whole message.
    pub fn new(message: impl Into<Message>, config: &Config) -> Self {
        let message = message.into();
        let (kind, payload) = (message.kind(), message.as_bytes());
        let uncompressed = frame(kind, false, payload);
        let deflated = deflate::whole(payload, config.compression())
            .map(|(bits, payload)| (bits, frame(kind, true, &payload)));
        let start = uncompressed.len().saturating_sub(payload.len());
        Self(Arc::new(Frames {
            message: Message::from_checked(kind, uncompressed.slice(start..)),
            uncompressed,
            deflated,
        }))
    }

    /// Returns its content.
    pub fn message(&self) -> &Message {
        &self.0.message
    }

    pub(crate) fn uncompressed(&self) -> &Bytes {
        &self.0.uncompressed
    }

    /// Returns the compressed frame and the number of window bits it needs, if it is smaller.
    pub(crate) fn deflated(&self) -> Option<&(u8, Bytes)> {
        self.0.deflated.as_ref()
    }
}

fn frame(kind: Kind, rsv1: bool, payload: &[u8]) -> Bytes {
    let opcode = match kind {
        Kind::Text => OpCode::Text,
        Kind::Binary => OpCode::Binary,
    };
    let mut header = Header::new(opcode, true, payload.len());
    header.rsv1 = rsv1;
    let mut head = [0; Header::MAX_LEN];
    let size = header.encode(&mut head);
    let mut frame = Vec::with_capacity(size.saturating_add(payload.len()));
    frame.extend_from_slice(head.get(..size).unwrap_or_default());
    frame.extend_from_slice(payload);
    frame.into()
}
