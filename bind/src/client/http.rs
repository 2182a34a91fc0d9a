//! What is to be connected to, as the `http` crate has it (feature `http`).

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

/// Takes the URL, which has to be a whole one, and the fields. What the handshake writes by itself is left out, so that a
/// request goes that was made for another library: `Host`, `Connection`, `Upgrade`, and the key and the version. The body
/// and the method are ignored.
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
