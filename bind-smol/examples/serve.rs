//! A server with the options that it needs if there is a proxy in front of it: `serve [--listen ADDR]…
//! [--unix PATH]… [--cert FILE --key FILE] [--proxy-protocol CIDR]… [--forwarded CIDR]… [--max N] [--page]
//! [--keep-alive SECONDS]`.
//!
//! `/ws` echoes, `/who` sends the address of the client, and with `--page` a page at `/` connects to `/ws`. The certificate is
//! for the last of the addresses. The lines that it prints first end with its addresses; port 0 picks a free one. A byte of
//! input, or the end of the input, stops it within two seconds.

use std::{error::Error, thread, time::Duration};

use bowline_smol::{self as bowline, CloseCode, Smol};

#[path = "../../bind-tokio/examples/common/serve.rs"]
mod options;

fn main() -> Result<(), Box<dyn Error>> {
    let server = options::server(Smol::new(|task| smol::spawn(task).detach()))?
        .path("/ws", |mut socket, _| async move {
            while let Ok(Some(message)) = socket.recv().await {
                if socket.feed(message).await.is_err() {
                    break;
                }
            }
        })
        .path("/who", |mut socket, request| async move {
            if socket.send(options::who(&request)).await.is_ok() {
                let _ = socket.close(CloseCode::NORMAL).await;
            }
        });
    let tracker = server.tracker();
    thread::spawn(move || {
        options::wait_for_input();
        smol::block_on(tracker.stop(Duration::from_secs(2)))
    });
    smol::block_on(server.serve())?;
    println!("stopped");
    Ok(())
}
