//! One end of a connection with compression on standard input and output, without an opening handshake.
//! It sends back what it receives. The Python script `run` plays the other end.
//!
//! usage: zlib_pipe ROLE BITS TAKEOVER LEVEL MEMORY_LEVEL FRAME PULL CUT
//!
//! ROLE is `client` or `server`. TAKEOVER contains `s` if this end sends with context takeover, and `r`
//! if it receives with it. FRAME is `send_frame_size`, or 0. PULL is `whole` or `chunks`; chunks are
//! sent back as they arrive. The input is parsed in pieces of up to CUT bytes. A message that begins
//! with `P` is sent uncompressed.

use std::{
    env,
    error::Error,
    io::{self, Read, Write},
    sync::atomic::{AtomicU32, Ordering},
};

use bowline_proto::{
    Chunk, Config, Connection, EntropyError, Event, Negotiated, Outgoing, Pull, Role,
    deflate::{Agreed, Deflate, Window},
};
use bytes::Buf;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [role, bits, takeover, level, memory, frame, pull, cut] = &args[..] else {
        return Err("see the top of tests/zlib/pipe.rs".into());
    };
    let mut options = Deflate::default();
    options.level = level.parse()?;
    options.memory_level = memory.parse()?;
    options.threshold = 0;
    let mut config = Config::new(keys);
    config.deflate = Some(options);
    config.send_frame_size = Some(frame.parse()?).filter(|size| *size > 0);
    let mut negotiated = Negotiated::default();
    negotiated.deflate = Some(Agreed {
        send: Window {
            bits: bits.parse()?,
            takeover: takeover.contains('s'),
        },
        recv: Window {
            bits: 15,
            takeover: takeover.contains('r'),
        },
    });
    let role = match role.as_str() {
        "client" => Role::Client,
        _ => Role::Server,
    };
    let conn = Connection::new(role, negotiated, config);
    serve(conn, pull == "chunks", cut.parse()?)
}

/// Sends back what arrives, until the input ends.
fn serve(mut conn: Connection, chunks: bool, cut: u32) -> Result<(), Box<dyn Error>> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut buffer = [0; 64 << 10];
    let mut plain = None;
    loop {
        let len = input.read(&mut buffer)?;
        let mut remainder = &buffer[..len];
        while !remainder.is_empty() {
            let step = remainder.len().min(1 + (random() % cut) as usize);
            let taken = conn.receive(&remainder[..step]);
            remainder = &remainder[taken..];
            while echo(&mut conn, chunks, &mut plain)? {
                write(&mut conn, &mut output)?;
            }
            write(&mut conn, &mut output)?;
        }
        if len == 0 {
            return Ok(());
        }
    }
}

/// Returns whether there was something to send back or to skip. The first chunk of a message decides
/// whether the message is `plain`.
fn echo(
    conn: &mut Connection,
    chunks: bool,
    plain: &mut Option<bool>,
) -> Result<bool, Box<dyn Error>> {
    let pull = if chunks { Pull::Chunks } else { Pull::Messages };
    let event = conn.poll_data(pull)?;
    if let Some(Event::Data(Chunk { data, fin })) = &event {
        let marked = *plain.get_or_insert(data.as_bytes().starts_with(b"P"));
        let data = match marked {
            true => Outgoing::uncompressed(data.clone()),
            false => data.clone().into(),
        };
        match chunks {
            true => conn.send_chunk(Chunk { data, fin: *fin })?,
            false => conn.send(data)?,
        }
        plain.take_if(|_| *fin);
    }
    Ok(event.is_some())
}

fn write(conn: &mut Connection, output: &mut impl Write) -> io::Result<()> {
    while let Some(transmit) = conn.transmit() {
        output.write_all(transmit.chunk())?;
        transmit.advance(transmit.chunk().len());
        conn.handle_sent(true);
    }
    Ok(())
}

/// Uses no real randomness, so that every run is the same.
fn random() -> u32 {
    static STATE: AtomicU32 = AtomicU32::new(1);
    let state = STATE.load(Ordering::Relaxed);
    let next = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    STATE.store(next, Ordering::Relaxed);
    next >> 16
}

fn keys(bytes: &mut [u8]) -> Result<(), EntropyError> {
    bytes.fill_with(|| random() as u8);
    Ok(())
}
