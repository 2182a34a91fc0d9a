//! Sends each line of its input as a command until the server acknowledges it: `reconnecting URL`.
use std::{collections::BTreeSet, env, error::Error, time::Duration};

use bowline_tokio::{CloseCode, Reconnect, ReconnectEvent};
use tokio::{io, io::AsyncBufReadExt, time::interval};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).ok_or("usage: reconnecting URL")?;
    let mut socket = Reconnect::new(url).on_connect(|mut socket| async move {
        socket.send("subscribe prices").await?;
        Ok(socket)
    });
    let mut commands = io::BufReader::new(io::stdin()).lines();
    let mut heartbeat = interval(Duration::from_secs(5));
    let (mut pending, mut open) = (BTreeSet::new(), true);
    while open || !pending.is_empty() {
        let due: Vec<String> = tokio::select! {
            event = socket.recv_event() => match event?.ok_or("the server wants no more")? {
                ReconnectEvent::Connected(_) => pending.iter().cloned().collect(),
                ReconnectEvent::Message(message) => match message.as_text().unwrap_or_default() {
                    text if text.strip_prefix("ack ").is_some_and(|it| pending.remove(it)) => continue,
                    text => { println!("{text}"); continue }
                },
                _ => continue,
            },
            line = commands.next_line(), if open => match line? {
                Some(line) => { pending.insert(line.clone()); vec![line] }
                None => { open = false; continue }
            },
            _ = heartbeat.tick() => vec!["heartbeat".to_owned()],
        };
        for text in due {
            // A command that is lost here is sent again after the next `Connected`.
            let _ = socket.send(text).await;
        }
    }
    Ok(socket.stop(CloseCode::NORMAL).await?)
}
