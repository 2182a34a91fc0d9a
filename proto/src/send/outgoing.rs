//! What can be sent: messages, with or without compression, and prepared ones.

use alloc::{sync::Arc, vec::Vec};

use bytes::Bytes;

use crate::{
    config::Config,
    deflate,
    message::{Kind, Message},
    wire::frame::{Header, OpCode},
};

/// A message to send, or a piece of one. What can be a [`Message`] or is [`Prepared`] can be one of these.
#[derive(Clone, Debug)]
pub struct Outgoing(pub(crate) What);

#[derive(Clone, Debug)]
pub(crate) enum What {
    Message { message: Message, compress: bool },
    Prepared(Prepared),
}

impl Outgoing {
    /// A message that is not compressed, whatever was agreed on: because it has a secret in it (see
    /// [`deflate`](crate::deflate#secrets)), or does not get smaller. A message that is sent in pieces is
    /// plain if the first of them is.
    #[cfg(feature = "deflate")]
    pub fn plain(message: impl Into<Message>) -> Self {
        Self(What::Message {
            message: message.into(),
            compress: false,
        })
    }

    /// Its content.
    pub fn message(&self) -> &Message {
        match &self.0 {
            What::Message { message, .. } => message,
            What::Prepared(prepared) => prepared.message(),
        }
    }
}

impl<M: Into<Message>> From<M> for Outgoing {
    fn from(message: M) -> Self {
        Self(What::Message {
            message: message.into(),
            compress: true,
        })
    }
}

impl From<Prepared> for Outgoing {
    fn from(prepared: Prepared) -> Self {
        Self(What::Prepared(prepared))
    }
}

impl From<&Prepared> for Outgoing {
    fn from(prepared: &Prepared) -> Self {
        prepared.clone().into()
    }
}

/// A message that is framed and compressed once, to be sent to many. Cloning shares its memory, and so
/// does sending.
///
/// The frames are used as they are by servers, up to [`send_frame_size`](Config::send_frame_size); a
/// client has to mask each anew. The compressed one is used on connections without context takeover in
/// our direction and a window that is not smaller. On all others it is sent like any other message.
#[derive(Clone, Debug)]
pub struct Prepared(Arc<Frames>);

#[derive(Debug)]
struct Frames {
    message: Message,
    /// Of which `message` is a part.
    plain: Bytes,
    /// With the bits of the window.
    deflated: Option<(u8, Bytes)>,
}

impl Prepared {
    /// Frames `message`, and compresses it if `config` says so and it gets smaller. Use the same
    /// `config` as the connections have. Takes time and memory for the whole message.
    pub fn new(message: impl Into<Message>, config: &Config) -> Self {
        let message = message.into();
        let (kind, payload) = (message.kind(), message.as_bytes());
        let plain = frame(kind, false, payload);
        let deflated = deflate::whole(payload, config.compression())
            .map(|(bits, payload)| (bits, frame(kind, true, &payload)));
        let start = plain.len().saturating_sub(payload.len());
        Self(Arc::new(Frames {
            message: Message::from_checked(kind, plain.slice(start..)),
            plain,
            deflated,
        }))
    }

    /// Its content.
    pub fn message(&self) -> &Message {
        &self.0.message
    }

    pub(crate) fn plain(&self) -> &Bytes {
        &self.0.plain
    }

    /// The compressed frame and the bits of the window it needs, if it is smaller.
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
