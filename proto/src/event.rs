use crate::{
    close::CloseFrame,
    message::{ControlPayload, Message},
};

/// The way in which the application takes the peer's data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pull {
    /// In whole messages, which the receiver assembles.
    Messages,
    /// In chunks, as they arrive.
    Chunks,
}

/// Something that the peer did.
///
/// Answers are sent automatically: nothing needs to be done about a Ping or a Close.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event<D = Message> {
    /// A message, or a piece of one.
    Data(D),
    /// A Ping. Its Pong is queued.
    Ping(ControlPayload),
    /// A Pong.
    Pong(ControlPayload),
    /// A Close. Its answer is queued, unless [`Config::reply_to_close`](crate::Config::reply_to_close) is off. No
    /// event follows.
    Close(Option<CloseFrame>),
}

impl<D> Event<D> {
    /// Returns the same event, with its data changed by `f`.
    pub fn map<E>(self, f: impl FnOnce(D) -> E) -> Event<E> {
        match self {
            Self::Data(data) => Event::Data(f(data)),
            Self::Ping(payload) => Event::Ping(payload),
            Self::Pong(payload) => Event::Pong(payload),
            Self::Close(frame) => Event::Close(frame),
        }
    }
}
