//! Shows numbers in the browser as they arrive: `gauge [ADDR]`, by default on 127.0.0.1:9001.
//!
//! Reads a number from each line of its input and pushes it to every open page, for example `while sleep
//! 0.1; do cut -d' ' -f1 /proc/loadavg; done | gauge`. It has a thread for each page and a plain HTTP
//! loop, as a desktop program would that has no async runtime. Ends when the input ends.

use std::{
    error::Error,
    io::{self, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use bowline_blocking::{
    CloseCode, Config, Io, Negotiated, Origins, Response, TrySendError, Utf8Bytes, WriteHalf,
    from_parts, proto::Role, respond,
};

use http::Request;

mod http;

type Page = WriteHalf<Io<TcpStream>>;

fn main() -> io::Result<()> {
    let addr = std::env::args().nth(1);
    let listener = TcpListener::bind(addr.as_deref().unwrap_or("127.0.0.1:9001"))?;
    let addr = listener.local_addr()?;
    println!("listening on {addr}\nopen http://{addr}/ in a browser");

    let gauge = Arc::new(Gauge::default());
    let config = Arc::new(Config::default());
    thread::spawn({
        let gauge = gauge.clone();
        move || listen(&listener, &gauge, &config)
    });
    for line in io::stdin().lines() {
        match line?.trim().parse::<f64>() {
            Ok(value) if value.is_finite() => gauge.show(value),
            _ => eprintln!("not a number"),
        }
    }
    gauge.close();
    Ok(())
}

fn listen(listener: &TcpListener, gauge: &Arc<Gauge>, config: &Arc<Config>) {
    loop {
        let serving = listener.accept().and_then(|(stream, _)| {
            let (gauge, config) = (gauge.clone(), config.clone());
            let serving = move || {
                if let Err(error) = serve(stream, &gauge, &config) {
                    eprintln!("{error}");
                }
            };
            thread::Builder::new().spawn(serving)
        });
        if let Err(error) = serving {
            // For example too many open files. Other connections may go on, and some will close.
            eprintln!("accept: {error}");
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Answers the only request of a connection, which may upgrade to a WebSocket.
fn serve(mut stream: TcpStream, gauge: &Gauge, config: &Arc<Config>) -> Result<(), Box<dyn Error>> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    let request = http::read_request(&mut stream)?;
    let (answer, socket) = match answer(&request, config) {
        Ok((switching, negotiated)) => (switching, Some(negotiated)),
        Err(answer) => (answer, None),
    };
    stream.write_all(&http::head_and_body(&answer))?;
    if let Some(negotiated) = socket {
        let socket = from_parts(
            stream,
            &request.leftover,
            negotiated,
            Role::Server,
            config.clone(),
        );
        let (mut receiver, page) = socket.split();
        let seat = gauge.enter(page);
        // The page sends no messages, but receiving answers its Pings and its Close.
        while receiver.recv()?.is_some() {}
        gauge.leave(seat);
    }
    Ok(())
}

fn answer(request: &Request, config: &Config) -> Result<(Response, Negotiated), Response> {
    match &request.target[..] {
        "/ws" => {}
        "/" => {
            let mut page = Response::new(200, include_str!("page.html"));
            let html = page.headers.push("Content-Type", "text/html");
            html.expect("a valid field");
            return Err(page);
        }
        _ => return Err(Response::new(404, "nothing here\n")),
    }
    let fields = request
        .fields
        .iter()
        .map(|(name, value)| (&name[..], &value[..]));
    // A browser lets any page connect to programs on this machine, and says which site the page is from
    // (RFC 6455 §10.2).
    let (headers, negotiated) = respond(
        request.version,
        &request.method,
        fields,
        &[],
        Origins::SameHost,
        config,
    )
    .map_err(|error| error.response())?;
    let mut switching = Response::new(101, "");
    switching.headers = headers;
    Ok((switching, negotiated))
}

/// The value that is shown, and the pages that show it.
#[derive(Default)]
struct Gauge(Mutex<Shown>);

#[derive(Default)]
struct Shown {
    value: Option<Utf8Bytes>,
    pages: Vec<(u64, Page)>,
    seats: u64,
}

impl Gauge {
    fn show(&self, value: f64) {
        let value = Utf8Bytes::from(value.to_string());
        let mut shown = self.shown();
        // A page that is too slow for this value will show a later one.
        shown.pages.retain(|(_, page)| {
            let sent = page.try_send(value.clone());
            !matches!(sent, Err(TrySendError::Failed(_)))
        });
        shown.value = Some(value);
    }

    fn enter(&self, page: Page) -> u64 {
        let mut shown = self.shown();
        if let Some(value) = &shown.value {
            let _ = page.try_send(value.clone());
        }
        shown.seats += 1;
        let seat = shown.seats;
        shown.pages.push((seat, page));
        seat
    }

    fn leave(&self, seat: u64) {
        self.shown().pages.retain(|(other, _)| *other != seat);
    }

    /// Closes all pages at the same time.
    fn close(&self) {
        let pages = std::mem::take(&mut self.shown().pages);
        thread::scope(|threads| {
            for (_, page) in &pages {
                threads.spawn(|| page.close(CloseCode::GOING_AWAY));
            }
        });
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
