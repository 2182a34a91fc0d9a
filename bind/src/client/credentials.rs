use base64::{Engine, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;
use proto::handshake::InvalidHeader;

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

/// Returns the user and the password of a URL, if it has either.
pub(super) fn userinfo(userinfo: &str) -> Option<Authorization> {
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    if user.is_empty() && password.is_empty() {
        return None;
    }
    Some(Authorization::Basic {
        user: percent_decode_str(user).collect(),
        password: percent_decode_str(password).collect(),
    })
}

/// Returns `value` as bytes, if it is not empty and has only visible ASCII characters.
pub(super) fn graphic(value: String) -> Result<Vec<u8>, InvalidHeader> {
    let valid = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
    valid.then(|| value.into()).ok_or(InvalidHeader::Value)
}
