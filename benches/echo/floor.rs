//! The lower bounds: TCP alone on each runtime, and the least that echoes frames.

use std::{
    cell::Cell,
    future::poll_fn,
    io::{self, Read, Write},
    net::TcpListener,
    pin::Pin,
    task::Context,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use sha1::{Digest, Sha1};
use smol::io::{AsyncRead as _, AsyncWriteExt as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    bare::{self, READ},
    frames::Takeover,
    servers::{on_smol, on_threads, on_tokio},
};

pub(crate) fn tokio(listener: TcpListener, _: Option<Takeover>) -> io::Result<()> {
    on_tokio(listener, |stream| bare::echo(stream, |_| ()))
}

pub(crate) fn smol(listener: TcpListener, _: Option<Takeover>) -> io::Result<()> {
    on_smol(listener, |mut stream| async move {
        loop {
            let read = |cx: &mut Context<'_>| {
                bare::lend(|buffer| Pin::new(&mut stream).poll_read(cx, buffer))
            };
            let (buffer, read) = poll_fn(read).await?;
            if read == 0 {
                return io::Result::Ok(());
            }
            stream.write_all(&buffer[..read]).await?;
            bare::back(buffer);
        }
    })
}

pub(crate) fn blocking(listener: TcpListener, _: Option<Takeover>) -> io::Result<()> {
    on_threads(listener, |mut stream| {
        let mut buffer = vec![0; READ];
        loop {
            let read = stream.read(&mut buffer)?;
            if read == 0 {
                return io::Result::Ok(());
            }
            stream.write_all(&buffer[..read])?;
        }
    })
}

/// Unmasks whole frames and sends back everything that came in one read with one write. It checks no
/// UTF-8, opcode or length, knows neither fragments nor control frames, and holds no memory between
/// messages.
pub(crate) fn frames(listener: TcpListener, _: Option<Takeover>) -> io::Result<()> {
    on_tokio(listener, |mut stream| async move {
        upgrade(&mut stream, None).await?;
        loop {
            let (mut input, mut filled) = poll_fn(|cx| bare::read_lent(&mut stream, cx)).await?;
            if filled == 0 {
                return io::Result::Ok(());
            }
            let mut output = OUTPUT.take();
            loop {
                let mut done = 0;
                while let Some(len) = answer(&mut input[done..filled], &mut output) {
                    done += len;
                }
                stream.write_all(&output).await?;
                output.clear();
                input.copy_within(done..filled, 0);
                filled -= done;
                if filled == 0 {
                    break;
                }
                if filled == input.len() {
                    input.resize(2 * filled, 0);
                }
                match stream.read(&mut input[filled..]).await? {
                    0 => return Ok(()),
                    read => filled += read,
                }
            }
            OUTPUT.set(output);
            bare::back(input);
        }
    })
}

thread_local! {
    static OUTPUT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Copies the first frame into `output` and returns its length, or `None` if the frame is not whole.
fn answer(input: &mut [u8], output: &mut Vec<u8>) -> Option<usize> {
    let (head, len) = match *input {
        [_, 0xFE, high, low, ..] => (4, u16::from_be_bytes([high, low]).into()),
        [_, 0xFF, a, b, c, d, e, f, g, h, ..] => {
            (10, u64::from_be_bytes([a, b, c, d, e, f, g, h]) as usize)
        }
        [_, masked, ..] if masked < 0xFE => (2, usize::from(masked & 0x7F)),
        _ => return None,
    };
    let frame = input.get_mut(..head + 4 + len)?;
    frame[1] &= 0x7F;
    output.extend_from_slice(&frame[..head]);
    let (key, payload) = frame[head..].split_at_mut(4);
    let key: [u8; 4] = key.try_into().expect("4 bytes");
    let wide = u64::from_ne_bytes([key, key].concat().try_into().expect("8 bytes"));
    let (words, rest) = payload.as_chunks_mut();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
    output.extend_from_slice(payload);
    Some(head + 4 + len)
}

/// Runs the opening handshake, and answers with these `extensions`.
pub(crate) async fn upgrade(stream: &mut TcpStream, extensions: Option<&str>) -> io::Result<()> {
    let mut head = Vec::with_capacity(1024);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let head = String::from_utf8(head).map_err(io::Error::other)?;
    let field = |line: &str| Some(line.strip_prefix("Sec-WebSocket-Key: ")?.to_owned());
    let key = head.lines().find_map(field).unwrap_or_default();
    let hash = Sha1::new()
        .chain_update(key)
        .chain_update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
        .finalize();
    let accept = BASE64_STANDARD.encode(hash);
    let extensions = extensions.map_or_else(String::new, |extensions| {
        format!("Sec-WebSocket-Extensions: {extensions}\r\n")
    });
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{extensions}\r\n",
    );
    stream.write_all(response.as_bytes()).await
}
