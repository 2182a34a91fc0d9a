//! A client of Autobahn's fuzzing server, shared by the examples for both runtimes.

use std::{error::Error, sync::Arc};

use crate::bowline::{Config, Connect, connect};

#[path = "fuzzed.rs"]
mod arguments;

/// Asks for the number of cases, echoes messages in each case, and asks for the reports about `agent`.
pub(crate) async fn run(agent: &str) -> Result<(), Box<dyn Error>> {
    let (server, config) = arguments::parse()?;
    let count: u32 = ask(&format!("{server}/getCaseCount"), &config)
        .await?
        .parse()?;
    for case in 1..=count {
        let url = format!("{server}/runCase?case={case}&agent={agent}");
        if let Err(error) = echo(&url, &config).await {
            eprintln!("{case}: {error}");
        }
    }
    ask(&format!("{server}/updateReports?agent={agent}"), &config).await?;
    Ok(())
}

async fn echo(url: &str, config: &Arc<Config>) -> Result<(), Box<dyn Error>> {
    let to = Connect::new(url).config(config.clone());
    let (mut socket, _) = connect(to).await?;
    while let Some(message) = socket.recv().await? {
        socket.feed(message).await?;
    }
    Ok(())
}

/// Returns the server's first message, or an empty text if there is none.
async fn ask(url: &str, config: &Arc<Config>) -> Result<String, Box<dyn Error>> {
    let (mut socket, _) = connect(Connect::new(url).config(config.clone())).await?;
    let answer = socket.recv().await?;
    socket.close(None).await?;
    let text = answer.as_ref().and_then(|message| message.as_text());
    Ok(text.unwrap_or_default().to_owned())
}
