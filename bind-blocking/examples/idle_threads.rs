//! Measures the memory of waiting threads, each with its connection: `idle_threads [COUNT]`, by default
//! 1,000.
//!
//! Each case runs in a process of its own and is measured by the system (Linux only). The result is the
//! number of resident bytes per thread beyond those of a thread that waits to read from a plain
//! `TcpStream`. 10 connections receive at a time, and then there is a pause of `BOWLINE_PAUSE`
//! milliseconds, by default 100. With 0 many more receive at the same time, and the result is mostly
//! memory that the allocator keeps for later use; for glibc's allocator, `MALLOC_MMAP_THRESHOLD_=65536`
//! prevents that.

use std::{
    env,
    error::Error,
    fs,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use bowline_blocking::{Config, accept_any};

/// How many connections receive at the same time.
const WAVE: usize = 10;

/// Long enough for all threads to have been waiting for a while.
const SETTLED: Duration = Duration::from_secs(1);

struct Case {
    name: &'static str,
    /// The number of messages, of `len` bytes each; a thread keeps them until it has received all of
    /// them.
    messages: usize,
    len: usize,
    answers: bool,
    splits: bool,
}

const fn case(name: &'static str, messages: usize, len: usize) -> Case {
    Case {
        name,
        messages,
        len,
        answers: false,
        splits: false,
    }
}

const CASES: [Case; 9] = [
    case("nothing", 0, 0),
    case("1 MiB", 1, 1 << 20),
    case("100 KB", 1, 100_000),
    case("40 × 16 KiB", 40, 16 << 10),
    case("2 × 255 KB", 2, 255_000),
    Case {
        answers: true,
        ..case("40 × 2 KiB, answered", 40, 2 << 10)
    },
    Case {
        splits: true,
        ..case("nothing, split", 0, 0)
    },
    Case {
        splits: true,
        ..case("100 KB, split", 1, 100_000)
    },
    Case {
        splits: true,
        ..case("2 × 255 KB, split", 2, 255_000)
    },
];

type Ended = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Ended {
    let mut args = env::args().skip(1);
    let count = args.next().map_or(Ok(1000), |count| count.parse())?;
    if let Some(name) = args.next() {
        let case = CASES.iter().find(|case| case.name == name);
        println!("{}", held(case, count)?);
        return Ok(());
    }
    let bare = in_a_process(count, "bare")?;
    println!("a bare thread: {bare} bytes");
    for case in CASES {
        let held = in_a_process(count, case.name)?;
        println!("{}: {} more", case.name, held - bare);
    }
    Ok(())
}

fn in_a_process(count: usize, name: &str) -> Result<i64, Box<dyn Error + Send + Sync>> {
    let mut this = Command::new(env::current_exe()?);
    this.args([&count.to_string(), name])
        .stderr(Stdio::inherit());
    Ok(String::from_utf8(this.output()?.stdout)?.trim().parse()?)
}

/// Returns by how many bytes each thread makes the process grow.
fn held(case: Option<&'static Case>, count: usize) -> Result<i64, Box<dyn Error + Send + Sync>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let config = Arc::new(Config::default());
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let config = config.clone();
            thread::spawn(move || serve(stream, case, config));
        }
    });
    let pause = env::var("BOWLINE_PAUSE").map_or(Ok(100), |millis| millis.parse())?;
    let mut all = Vec::with_capacity(10 * WAVE + count);
    let frame = case.map_or(Vec::new(), |case| frame(case.len));
    let mut open = |count: usize| -> Result<(), Box<dyn Error + Send + Sync>> {
        let first = all.len();
        for number in 1..=count {
            let mut stream = TcpStream::connect(addr)?;
            if case.is_some() {
                upgrade(&mut stream)?;
            }
            all.push(stream);
            if number % WAVE == 0 {
                thread::sleep(Duration::from_millis(pause));
            }
        }
        for wave in all[first..].chunks_mut(WAVE) {
            for _ in 0..case.map_or(0, |case| case.messages) {
                for piece in frame.chunks(16 << 10) {
                    for stream in &mut *wave {
                        stream.write_all(piece)?;
                    }
                }
            }
            let answer = match case {
                Some(case) if case.answers => case.messages * (case.len + 4),
                Some(case) if case.messages > 0 => 2,
                _ => 0,
            };
            for stream in wave {
                read(stream, answer)?;
            }
            if answer > 0 {
                thread::sleep(Duration::from_millis(pause));
            }
        }
        Ok(())
    };
    // These are not counted. They make the allocator keep the memory that the receiving threads need.
    open(10 * WAVE)?;
    thread::sleep(SETTLED);
    let before = resident()?;
    open(count)?;
    thread::sleep(SETTLED);
    Ok((resident()? - before) / i64::try_from(count)?)
}

fn serve(mut stream: TcpStream, case: Option<&Case>, config: Arc<Config>) -> Ended {
    stream.set_nodelay(true)?;
    let Some(case) = case else {
        stream.read_exact(&mut [0])?;
        return Ok(());
    };
    let mut socket = accept_any(stream, config)?;
    if case.splits {
        let (mut receiver, sender) = socket.split();
        receive(
            case,
            || Ok(receiver.recv()?),
            |message| Ok(sender.send(message)?),
        )
    } else {
        let socket = std::cell::RefCell::new(&mut socket);
        receive(
            case,
            || Ok(socket.borrow_mut().recv()?),
            |message| Ok(socket.borrow_mut().feed(message)?),
        )
    }
}

type Message = bowline_blocking::Message;

fn receive(
    case: &Case,
    mut recv: impl FnMut() -> Result<Option<Message>, Box<dyn Error + Send + Sync>>,
    mut send: impl FnMut(Message) -> Ended,
) -> Ended {
    let mut messages = Vec::with_capacity(case.messages);
    while let Some(message) = recv()? {
        messages.push(message);
        if messages.len() == case.messages {
            let answered = messages
                .drain(..)
                .try_for_each(|message| if case.answers { send(message) } else { Ok(()) });
            answered?;
            if !case.answers {
                send(Message::from(Vec::new()))?;
            }
        }
    }
    Ok(())
}

fn upgrade(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(
        b"GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    )?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend_from_slice(&byte);
    }
    Ok(())
}

/// A masked binary frame.
fn frame(len: usize) -> Vec<u8> {
    let mut frame = match len {
        ..126 => vec![0x82, 0x80 | len as u8],
        126..65_536 => [&[0x82, 0xFE][..], &(len as u16).to_be_bytes()].concat(),
        _ => [&[0x82, 0xFF][..], &(len as u64).to_be_bytes()].concat(),
    };
    frame.extend_from_slice(&[0; 4]);
    frame.resize(frame.len() + len, 7);
    frame
}

fn read(stream: &mut TcpStream, len: usize) -> io::Result<()> {
    io::copy(&mut stream.take(len as u64), &mut io::sink()).map(drop)
}

/// Returns the resident bytes of this process.
fn resident() -> Result<i64, Box<dyn Error + Send + Sync>> {
    let rollup = fs::read_to_string("/proc/self/status")?;
    let line = rollup.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(kib.ok_or("no VmRSS")?.parse::<i64>()? << 10)
}
