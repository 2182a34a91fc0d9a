//! The arguments of `client`, shared by all bindings.

use std::error::Error;

use crate::bowline::{Config, Connect, Deflate, Message, Proxy, ReconnectEvent};

pub(crate) struct Arguments {
    pub(crate) to: Connect,
    /// Whether the client connects again when its connection is lost.
    pub(crate) reconnects: bool,
}

pub(crate) fn parse() -> Result<Arguments, Box<dyn Error>> {
    const USAGE: &str = "usage: client URL [--header K:V]… [--protocol P]… [--proxy URL|env] [--unix PATH] [--reconnect] [--insecure] \
                         [--deflate]";
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    // The URL may stand first or last.
    let first = args.first().is_some_and(|arg| !arg.starts_with("--"));
    let url = if first {
        Some(args.remove(0))
    } else {
        args.pop()
    };
    let mut to = Connect::new(url.ok_or(USAGE)?);
    let mut reconnects = false;
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        to = match &arg[..] {
            "--header" => {
                let field = args.next().ok_or(USAGE)?;
                let (name, value) = field.split_once(':').ok_or(USAGE)?;
                to.header(name, value)
            }
            "--protocol" => to.subprotocol(args.next().ok_or(USAGE)?),
            "--proxy" => to.proxy(match args.next().ok_or(USAGE)? {
                env if env == "env" => Proxy::from_env(),
                url => Proxy::new(url),
            }),
            "--unix" => to.unix(args.next().ok_or(USAGE)?),
            "--reconnect" => {
                reconnects = true;
                to
            }
            "--insecure" => to.danger_accept_invalid_certs(true),
            "--deflate" => to.config(Config::default().deflate(Deflate::default())),
            _ => return Err(USAGE.into()),
        };
    }
    Ok(Arguments { to, reconnects })
}

/// Prints what has arrived.
pub(crate) fn print(message: Message) {
    match message {
        Message::Text(text) => println!("{text}"),
        Message::Binary(data) => println!("{} bytes: {data:?}", data.len()),
    }
}

/// Prints what has happened to a client that reconnects.
pub(crate) fn tell(event: ReconnectEvent) {
    match event {
        ReconnectEvent::Message(message) => print(message),
        ReconnectEvent::Connected(_) => eprintln!("connected"),
        ReconnectEvent::Lost { outage, unsent } => {
            eprintln!("lost: {outage}; {unsent} messages were not sent")
        }
        ReconnectEvent::Waiting { delay, outage, .. } => {
            let reason = outage.map_or_else(String::new, |outage| format!(": {outage}"));
            eprintln!("waiting {delay:?}{reason}");
        }
        _ => {}
    }
}
