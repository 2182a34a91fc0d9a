//! The part of Bowline that every binding shares: one driver, written against a few small traits.
//!
//! `bowline-tokio`, `bowline-smol` and `bowline-blocking` implement [`Transport`], [`Timer`], [`Network`] and
//! [`Runtime`], and re-export what a user needs of this crate. Use one of them, unless you are writing a binding. The
//! protocol is in [`proto`]. This crate handles waiting, wakers and time, and has no rules of the protocol.

mod byte_stream;
mod bytes;
mod client;
mod driver;
mod error;
#[cfg(feature = "futures")]
mod futures;
mod handle;
mod handshake;
#[doc(hidden)]
pub mod internal;
mod lanes;
mod outlet;
mod output;
mod pair;
mod read_half;
mod reconnect;
mod reunite;
mod runtime;
mod server;
mod shared;
mod socket;
mod streaming;
mod sync;
mod tls;
mod trace;
mod transport;
mod wakers;
mod wire;
mod write_half;

pub use byte_stream::{MessageReader, Source};
pub use bytes::{ReadBytes, WriteBytes};
pub use client::{
    ClientStream, Connect, ConnectError, Connector, CookieStore, Destination, Host, Proxy,
    ProxyError, UrlError, connect, connect_over,
};
#[cfg(feature = "tls")]
pub use client::{TlsOptionError, TlsVersion};
pub use driver::Received;
pub use error::{Error, TrySendError};
pub use handle::{Handle, QueueError};
pub use handshake::{Incoming, NotAccepted, accept, accept_any, from_parts};
pub use outlet::Outlet;
pub use pair::{InMemory, pair};
pub use proto;
pub use read_half::ReadHalf;
pub use reconnect::{
    Backoff, GaveUp, GiveUpReason, Offline, Outage, Reconnect, ReconnectEvent, ReconnectSendError,
    ReconnectSender, ReconnectState,
};
pub use reunite::ReuniteError;
pub use runtime::{InThread, Network, Reaching, Runtime, SendNetwork, in_thread};
#[cfg(feature = "tls")]
pub use rustls;
pub use server::{
    Accepted, AsyncHost as AsyncServerHost, ClientRequest, Host as ServerHost, Kill, Listen,
    Listening, Returns, Server, ServerError, ServerStream, SocketInfo, Stop, Subnet, SubnetError,
    Tracked, Tracker,
};
pub use socket::{WebSocket, drive};
pub use streaming::{Owner, Streaming};
pub use tls::OptionalTls;
#[cfg(feature = "tls")]
pub use tls::accept_tls;
pub use transport::{AnyTransport, Timer, Transport};
pub use write_half::WriteHalf;

/// The items that every binding exports besides its own.
pub mod api {
    pub use proto::{
        self, Chunk, CloseCode, CloseFrame, Closed, Config, ControlPayload, ControlTooLong,
        Deadline, EntropyError, Event, Initiator, IntoClose, InvalidCloseCode, InvalidUtf8,
        KeepAlive, Kind, Lost, Message, Negotiated, Outgoing, Prepared, ProtocolError, Role,
        SendError, State, Stats, Traffic, Utf8Bytes,
        handshake::{
            AnswerError, Basic, FieldValue, HandshakeError, Headers, HttpVersion, InvalidHeader,
            OfferError, Origins, Request, RequestError, Response, ResponseError, respond,
            secrets_match,
        },
    };

    #[cfg(feature = "deflate")]
    pub use proto::deflate::Deflate;

    #[cfg(feature = "tls")]
    pub use crate::{TlsOptionError, TlsVersion};

    pub use crate::{
        Backoff, GaveUp, GiveUpReason, Offline, Outage, ReconnectEvent, ReconnectSendError,
        ReconnectState,
    };
    pub use crate::{ClientRequest, ServerError, SocketInfo, Stop};
    pub use crate::{
        Connect, ConnectError, Connector, CookieStore, Destination, Error, Host, OptionalTls,
        Proxy, ProxyError, Subnet, SubnetError, Transport, TrySendError, UrlError,
    };
    pub use crate::{Handle, QueueError, Received};
}
