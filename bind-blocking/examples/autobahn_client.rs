//! Runs the cases of Autobahn's fuzzing server: `autobahn_client URL [--deflate]`.

use std::{error::Error, sync::Arc};

use bowline_blocking::{self as bowline, Config, Connect, connect};

#[path = "../../bind-tokio/examples/common/fuzzed.rs"]
mod arguments;

const AGENT: &str = "bowline-blocking";

fn main() -> Result<(), Box<dyn Error>> {
    let (server, config) = arguments::parse()?;
    let count: u32 = ask(&format!("{server}/getCaseCount"), &config)?.parse()?;
    for case in 1..=count {
        let url = format!("{server}/runCase?case={case}&agent={AGENT}");
        if let Err(error) = echo(&url, &config) {
            eprintln!("{case}: {error}");
        }
    }
    ask(&format!("{server}/updateReports?agent={AGENT}"), &config)?;
    Ok(())
}

fn echo(url: &str, config: &Arc<Config>) -> Result<(), Box<dyn Error>> {
    let (mut socket, _) = connect(Connect::new(url).config(config.clone()))?;
    while let Some(message) = socket.recv()? {
        socket.feed(message)?;
    }
    Ok(())
}

/// Returns the server's first message, or an empty text if there is none.
fn ask(url: &str, config: &Arc<Config>) -> Result<String, Box<dyn Error>> {
    let (mut socket, _) = connect(Connect::new(url).config(config.clone()))?;
    let answer = socket.recv()?;
    socket.close(None)?;
    let text = answer.as_ref().and_then(|message| message.as_text());
    Ok(text.unwrap_or_default().to_owned())
}
