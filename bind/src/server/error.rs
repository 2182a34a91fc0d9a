use std::{error, fmt, io, net::SocketAddr};

/// A failure of a server that ends no call of the application.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerError {
    /// The system does not accept a connection, for example because too many files are open. The server goes on trying;
    /// this is reported once, and then not until an attempt has succeeded.
    Accept(io::Error),
    /// A function of the application has panicked. The socket was closed with 1011, or the request was answered with 500.
    Panicked {
        /// The address of the client, as far as it is known.
        client_addr: Option<SocketAddr>,
        /// The path of the request.
        path: String,
    },
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept(error) => write!(
                f,
                "the system does not accept a connection, and the server tries again: {error}"
            ),
            Self::Panicked { client_addr, path } => {
                write!(f, "the application has panicked in the handler of {path}")?;
                match client_addr {
                    Some(addr) => write!(f, "; its client was {addr}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl error::Error for ServerError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Accept(error) => Some(error),
            Self::Panicked { .. } => None,
        }
    }
}
