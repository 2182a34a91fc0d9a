//! Answers of proxies that keep to the rules.

use proto::handshake::HandshakeError;

use super::MAX_BODY;
use crate::bodies::choices::Choices;

/// The answer of a proxy.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    /// The status of an answer of HTTP.
    status: u16,
    body: Vec<u8>,
    /// Whether the body ends where the connection does.
    is_endless: bool,
}

impl Answer {
    /// Checks the outcome of an answer of HTTP, behind which the bytes of the server came.
    pub(super) fn check(&self, outcome: Result<Vec<u8>, HandshakeError>, server: &[u8]) {
        match outcome {
            Ok(after) => {
                assert!((200..300).contains(&self.status));
                assert_eq!(after, [&self.body, server].concat());
            }
            Err(HandshakeError::Refused(response)) => {
                assert_eq!(response.status, self.status);
                let mut body = self.body.clone();
                if self.is_endless {
                    body.extend(server);
                }
                body.truncate(MAX_BODY);
                assert_eq!(response.body, body);
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

pub(super) fn http_answer(choices: &mut Choices<'_>) -> Answer {
    let status = choices.of(&[200, 200, 204, 299, 302, 403, 407, 502, 503]);
    let is_open = (200..300).contains(&status);
    let mut head = String::new();
    for _ in 0..choices.below(3) {
        head += &format!(
            "HTTP/1.1 {} Wait\r\nX: y\r\n\r\n",
            choices.of(&[100, 102, 103])
        );
    }
    head += &format!("HTTP/1.{} {status} Why\r\n", choices.below(2));
    let fields = [
        "Proxy-Authenticate: Basic realm=\"a, b\"",
        "Date: now",
        "Via:",
        "X: \té ",
    ];
    for _ in 0..choices.below(4) {
        head += &format!("{}\r\n", choices.of(&fields));
    }
    let len = choices.below(150);
    let content = choices.raw(len);
    let mut answer = Answer {
        status,
        ..Answer::default()
    };
    // A tunnel begins behind the head, whatever its fields say of a body.
    let mut body = content.clone();
    match choices.below(3) {
        0 => head += &format!("Content-Length: {}\r\n", content.len()),
        1 => {
            head += "Transfer-Encoding: chunked\r\n";
            body = match content.is_empty() {
                true => b"0\r\n\r\n".to_vec(),
                false => [
                    format!("{:x}\r\n", content.len()).as_bytes(),
                    &content,
                    b"\r\n0\r\n\r\n",
                ]
                .concat(),
            };
        }
        _ => answer.is_endless = true,
    }
    head += "\r\n";
    answer.bytes = [head.as_bytes(), &body].concat();
    answer.body = if is_open { body } else { content };
    answer
}

pub(super) fn socks_answer(choices: &mut Choices<'_>, credentials: bool) -> Answer {
    let method = match choices.below(8) {
        0 => choices.byte(),
        1 => 0xFF,
        2..=3 => 0,
        _ if credentials => 2,
        _ => 0,
    };
    let mut bytes = vec![5, method];
    if method == 2 {
        bytes.extend([1, choices.of(&[0, 0, 0, 1])]);
    }
    let code = if choices.one_in(4) { choices.byte() } else { 0 };
    bytes.extend([5, code, 0]);
    let (kind, len) = match choices.below(4) {
        0 => (1, 4),
        1 => (3, choices.below(256)),
        2 => (4, 16),
        _ => (choices.byte(), 4),
    };
    bytes.push(kind);
    if kind == 3 {
        bytes.push(len as u8);
    }
    // The address and the port are anything.
    bytes.extend((0..len + 2).map(|at| at as u8));
    Answer {
        bytes,
        ..Answer::default()
    }
}
