use alloc::string::String;

use crate::deflate::options::Agreed;

/// The result of the opening handshake: what both ends agreed on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Negotiated {
    /// The subprotocol, if one was picked.
    pub subprotocol: Option<String>,
    /// The compression of messages, if it was agreed on (RFC 7692).
    #[cfg(feature = "deflate")]
    pub deflate: Option<Agreed>,
}

impl Negotiated {
    /// Returns the compression that was agreed on: none without the feature.
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
