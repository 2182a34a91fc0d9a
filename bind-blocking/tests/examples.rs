//! The small programs among the examples, run as processes against a server: this test is each of them, if it is told so.

use std::{
    env,
    error::Error,
    net::TcpListener,
    process::{Command, Stdio},
};

use bowline_blocking::{Config, accept_any};

#[path = "../examples/heartbeat.rs"]
mod heartbeat;

/// Says which program a process is.
const PROGRAM: &str = "BOWLINE_EXAMPLE";

fn main() -> Result<(), Box<dyn Error>> {
    if env::var(PROGRAM).is_ok() {
        return heartbeat::main();
    }
    a_heartbeat_is_sent_between_messages()
}

/// A message that comes every 10 ms does not keep the program from its heartbeat.
fn a_heartbeat_is_sent_between_messages() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let client = Command::new(env::current_exe()?)
        .arg(format!("ws://{}/", listener.local_addr()?))
        .env(PROGRAM, "heartbeat")
        .stdout(Stdio::piped())
        .spawn()?;
    let (stream, _) = listener.accept()?;
    let mut socket = accept_any(stream, Config::default())?;
    for beats in 0..2 {
        let mut sent = 0;
        let message = loop {
            match socket.recv_timeout(std::time::Duration::from_millis(10)) {
                Ok(message) => break message,
                Err(_) => socket.send("busy")?,
            }
            sent += 1;
        };
        assert_eq!(message, Some("heartbeat".into()));
        assert!(sent > 0, "beat {beats} came at once");
    }
    socket.close(None)?;
    let output = client.wait_with_output()?;
    assert!(output.status.success(), "heartbeat failed");
    assert!(String::from_utf8(output.stdout)?.contains("busy"));
    println!("a_heartbeat_is_sent_between_messages ... ok");
    Ok(())
}
