//! Conversions to [`Connect`] from types of the `http` crate (feature `http`).

use http::{Request, Uri, header};

use super::builder::Connect;

impl From<Uri> for Connect {
    fn from(url: Uri) -> Self {
        Self::new(url.to_string())
    }
}

impl From<&Uri> for Connect {
    fn from(url: &Uri) -> Self {
        Self::new(url.to_string())
    }
}

/// Takes the URL, which must be absolute, and the header fields. Fields that the handshake writes itself are left
/// out: `Host`, `Connection`, `Upgrade`, and the key and the version. A request that was made for another library can
/// therefore be used. The body and the method are ignored.
impl<T> From<Request<T>> for Connect {
    fn from(request: Request<T>) -> Self {
        let ours = [
            header::HOST,
            header::CONNECTION,
            header::UPGRADE,
            header::SEC_WEBSOCKET_KEY,
            header::SEC_WEBSOCKET_VERSION,
        ];
        let mut connect = Self::from(request.uri());
        for (name, value) in request.headers() {
            if name == header::SEC_WEBSOCKET_PROTOCOL
                && let Ok(list) = value.to_str()
            {
                for subprotocol in list.split(',') {
                    connect = connect.subprotocol(subprotocol.trim());
                }
            } else if !ours.contains(name) {
                connect = connect.header(name, value);
            }
        }
        connect
    }
}
