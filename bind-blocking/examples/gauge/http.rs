//! Just enough of HTTP for one page.

use std::{
    io::{self, Read},
    net::TcpStream,
};

use bowline_blocking::{HttpVersion, Response};

pub(crate) struct Request {
    pub(crate) version: HttpVersion,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) fields: Vec<(String, Vec<u8>)>,
    /// The bytes that were read after the request.
    pub(crate) leftover: Vec<u8>,
}

/// Reads a head of at most 8 KiB.
pub(crate) fn read_request(stream: &mut TcpStream) -> io::Result<Request> {
    let mut bytes = vec![0; 8192];
    let mut len = 0;
    loop {
        match stream.read(&mut bytes[len..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => len += read,
        }
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Request::new(&mut fields);
        let parsed = head.parse(&bytes[..len]).map_err(io::Error::other)?;
        if let httparse::Status::Complete(end) = parsed {
            let fields = head.headers.iter();
            return Ok(Request {
                // The parser accepts no other versions.
                version: match head.version {
                    Some(0) => HttpVersion::Http10,
                    _ => HttpVersion::Http11,
                },
                method: head.method.unwrap_or_default().to_owned(),
                target: head.path.unwrap_or_default().to_owned(),
                fields: fields
                    .map(|field| (field.name.to_owned(), field.value.to_vec()))
                    .collect(),
                leftover: bytes[end..len].to_vec(),
            });
        }
    }
}

/// Returns the bytes of a response. After any response but a 101 the connection ends.
pub(crate) fn head_and_body(response: &Response) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {} \r\n", response.status).into_bytes();
    for (name, value) in response.headers.iter() {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    }
    if response.status != 101 {
        let len = response.body.len();
        bytes.extend_from_slice(
            format!("Content-Length: {len}\r\nConnection: close\r\n").as_bytes(),
        );
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&response.body);
    bytes
}
