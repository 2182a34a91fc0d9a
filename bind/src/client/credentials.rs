use base64::{Engine, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;
use proto::handshake::InvalidHeader;
use url::Url;

#[derive(Clone)]
pub(super) enum Authorization {
    Basic { user: Vec<u8>, password: Vec<u8> },
    Bearer(String),
}

impl Authorization {
    pub(super) fn encode(self) -> Result<Vec<u8>, InvalidHeader> {
        match self {
            Self::Basic { user, password } => {
                // RFC 7617 §2: they "MUST NOT contain any control characters".
                let has_control = user.iter().chain(&password).any(u8::is_ascii_control);
                if has_control || user.contains(&b':') {
                    return Err(InvalidHeader::Value);
                }
                let pair = BASE64_STANDARD.encode([user, vec![b':'], password].concat());
                Ok(format!("Basic {pair}").into())
            }
            Self::Bearer(token) => Ok([b"Bearer ".to_vec(), graphic(token)?].concat()),
        }
    }
}

pub(super) fn userinfo(url: &Url) -> Option<Authorization> {
    let decode = |text| percent_decode_str(text).collect();
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    Some(Authorization::Basic {
        user: decode(url.username()),
        password: decode(url.password().unwrap_or_default()),
    })
}

/// A value that has no spaces.
pub(super) fn graphic(value: String) -> Result<Vec<u8>, InvalidHeader> {
    let valid = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
    valid.then(|| value.into()).ok_or(InvalidHeader::Value)
}
