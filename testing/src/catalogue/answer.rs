//! Responses as the other end reads them (RFC 9112 §4), for the runners of all crates.

/// A response as it is on the wire: the status, the fields, and everything after the head.
pub struct Answer<'a> {
    pub status: u16,
    fields: Vec<(&'a str, &'a str)>,
    pub rest: &'a [u8],
}

impl<'a> Answer<'a> {
    pub fn parse(out: &'a [u8]) -> Self {
        let end = out.windows(4).position(|window| window == b"\r\n\r\n");
        let (head, rest) = out.split_at(end.expect("a whole head"));
        let head = std::str::from_utf8(head).expect("a head of text");
        let mut lines = head.split("\r\n");
        let line = lines.next().expect("a status line");
        let status = line.strip_prefix("HTTP/1.1 ").expect("HTTP/1.1");
        let (status, _) = status.split_once(' ').expect("a space behind the status");
        Self {
            status: status.parse().expect("a status"),
            fields: lines
                .map(|line| line.split_once(": ").expect("a field"))
                .collect(),
            rest: &rest[4..],
        }
    }

    /// Returns the one value of `name`.
    pub fn field(&self, name: &str) -> Option<&'a str> {
        let mut values = self
            .fields
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| *value);
        assert!(values.next().is_none(), "{name} comes twice");
        value
    }

    /// Checks what every refusal must have.
    pub fn check_refusal(&self) {
        assert!((400..=599).contains(&self.status), "{}", self.status);
        let connection = self.field("Connection").expect("Connection");
        assert!(connection.split(", ").any(|option| option == "close"));
        let length = self.field("Content-Length").expect("Content-Length");
        assert_eq!(length.parse(), Ok(self.rest.len()), "Content-Length");
        assert_eq!(self.field("Transfer-Encoding"), None);
    }
}
