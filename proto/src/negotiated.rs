use alloc::string::String;

use crate::deflate::options::Agreed;

/// What both ends agreed on in the opening handshake.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Negotiated {
    /// The subprotocol, if one was picked.
    pub subprotocol: Option<String>,
    /// How messages are compressed, if they may be (RFC 7692).
    #[cfg(feature = "deflate")]
    pub deflate: Option<Agreed>,
}

impl Negotiated {
    /// How messages are compressed: not at all without the feature.
    pub(crate) const fn compression(&self) -> Option<Agreed> {
        #[cfg(feature = "deflate")]
        {
            self.deflate
        }
        #[cfg(not(feature = "deflate"))]
        {
            None
        }
    }
}
