//! The small programs among the examples, run as processes against a server: this test is each of them, if it is told so.

use std::{env, error::Error, net::SocketAddr, process::Stdio, time::Duration};

use bowline_tokio::{Config, accept_any};
use tokio::{io, net::TcpListener, process::Command, time};

#[cfg(feature = "axum")]
#[path = "../examples/axum.rs"]
mod axum;
#[path = "../examples/copy.rs"]
mod copy;
#[path = "../examples/dotnet_client.rs"]
mod dotnet_client;
#[cfg(feature = "hyper")]
#[path = "../examples/hyper.rs"]
mod hyper;
#[path = "../examples/publisher.rs"]
mod publisher;
#[path = "../examples/serving.rs"]
mod serving;

type Ended<T = ()> = Result<T, Box<dyn Error>>;

/// Says which program a process is.
const PROGRAM: &str = "BOWLINE_EXAMPLE";

fn main() -> Ended {
    match env::var(PROGRAM).as_deref() {
        #[cfg(feature = "axum")]
        Ok("axum") => return axum::main(),
        Ok("copy") => return copy::main(),
        Ok("dotnet_client") => return dotnet_client::main(),
        #[cfg(feature = "hyper")]
        Ok("hyper") => return hyper::main(),
        Ok("publisher") => return publisher::main(),
        Ok("serving") => return Ok(serving::main()?),
        _ => {}
    }
    let limit = Duration::from_secs(120);
    tokio::runtime::Runtime::new()?.block_on(async {
        #[cfg(feature = "axum")]
        time::timeout(limit, axum_serves_its_page_and_its_socket()).await??;
        #[cfg(feature = "hyper")]
        time::timeout(limit, serves_its_page_and_its_socket("hyper")).await??;
        time::timeout(limit, dotnet_client_counts_what_it_receives()).await??;
        time::timeout(limit, a_publisher_answers_the_pings_of_its_server()).await??;
        time::timeout(limit, serving_echoes()).await??;
        time::timeout(limit, a_gigabyte_is_copied_in_bounded_memory()).await??;
        Ok(())
    })
}

/// Returns the output of a program, and fails if the program fails.
async fn run(program: &str, arguments: Vec<&str>) -> Ended<String> {
    let output = Command::new(env::current_exe()?)
        .args(arguments)
        .env(PROGRAM, program)
        .stderr(Stdio::inherit())
        .output()
        .await?;
    assert!(output.status.success(), "{program} failed");
    Ok(String::from_utf8(output.stdout)?)
}

async fn listen() -> io::Result<(TcpListener, String)> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let url = format!("ws://{}/", listener.local_addr()?);
    Ok((listener, url))
}

#[cfg(feature = "axum")]
async fn axum_serves_its_page_and_its_socket() -> Ended {
    let program = include_str!("../examples/axum.rs");
    assert!(program.lines().count() <= 25, "it is not short any more");
    serves_its_page_and_its_socket("axum").await
}

#[cfg(feature = "hyper")]
async fn serves_its_page_and_its_socket(program: &str) -> Ended {
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

    let mut server = Command::new(env::current_exe()?)
        .arg("127.0.0.1:0")
        .env(PROGRAM, program)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let printed = server.stdout.take().ok_or("no output")?;
    let url = BufReader::new(printed).lines().next_line().await?;
    let url = url.ok_or("it printed nothing")?;
    let addr = url.trim_start_matches("http://").trim_end_matches('/');

    let mut stream = tokio::net::TcpStream::connect(addr).await?;
    let request = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await?;
    let mut page = String::new();
    stream.read_to_string(&mut page).await?;
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    assert!(page.contains("new WebSocket("), "{page}");

    let (mut socket, _) = bowline_tokio::connect(format!("ws://{addr}/")).await?;
    socket.send("hello").await?;
    assert_eq!(socket.recv().await?, Some("hello".into()));
    socket.close(None).await?;
    server.kill().await?;
    println!("{program}_serves_its_page_and_its_socket ... ok");
    Ok(())
}

async fn dotnet_client_counts_what_it_receives() -> Ended {
    let (listener, url) = listen().await?;
    let server = async {
        let (stream, _) = listener.accept().await?;
        let mut socket = accept_any(stream, Config::default()).await?;
        assert_eq!(socket.recv().await?, Some("Hello".into()));
        socket.send("x".repeat(1800)).await?;
        assert_eq!(socket.recv().await?, None);
        let closed = socket.closed().ok_or("it is open")?;
        assert_eq!((closed.code, &*closed.reason), (1000, "Closing"));
        Ended::Ok(())
    };
    let (served, printed) = tokio::join!(server, run("dotnet_client", vec![&url]));
    served?;
    let lines = "count 1024, end of message false\ncount 776, end of message true\n";
    assert_eq!(printed?, lines);
    println!("dotnet_client_counts_what_it_receives ... ok");
    Ok(())
}

/// The server gives up who does not answer its Pings, and none of them is sent while anything is heard of.
async fn a_publisher_answers_the_pings_of_its_server() -> Ended {
    let (listener, url) = listen().await?;
    let server = async {
        let (stream, _) = listener.accept().await?;
        let mut socket = accept_any(stream, Config::default()).await?;
        let mut lines = 0;
        while let Some(message) = socket.recv().await? {
            assert_eq!(message, format!("line {lines}").into());
            lines += 1;
            socket.ping(Default::default()).await?;
        }
        assert!(socket.closed().is_some_and(|closed| closed.is_normal()));
        assert!(socket.latency().is_some(), "a Ping was answered");
        Ended::Ok(lines)
    };
    let (lines, printed) = tokio::join!(server, run("publisher", vec![&url, "20"]));
    printed?;
    assert_eq!(lines?, 20);
    println!("a_publisher_answers_the_pings_of_its_server ... ok");
    Ok(())
}

/// The program prints nothing, so its client tries until the program listens.
async fn serving_echoes() -> Ended {
    let program = include_str!("../examples/serving.rs");
    assert!(program.lines().count() <= 12, "it is not short any more");
    let (listener, url) = listen().await?;
    let addr = listener.local_addr()?.to_string();
    drop(listener);
    let mut server = Command::new(env::current_exe()?)
        .arg(addr)
        .env(PROGRAM, "serving")
        .kill_on_drop(true)
        .spawn()?;
    let url = format!("{url}ws");
    let mut socket = loop {
        match bowline_tokio::connect(&url).await {
            Ok((socket, _)) => break socket,
            Err(error) if server.try_wait()?.is_some() => return Err(error.into()),
            Err(_) => time::sleep(Duration::from_millis(20)).await,
        }
    };
    for text in ["hello", "again"] {
        socket.send(text).await?;
        assert_eq!(socket.recv().await?, Some(text.into()));
    }
    socket.close(None).await?;
    let refused = bowline_tokio::connect(url.trim_end_matches("ws")).await;
    let refused = refused.err().ok_or("there is a socket at the root")?;
    assert_eq!(refused.response().map(|it| it.status), Some(404));
    server.kill().await?;
    println!("serving_echoes ... ok");
    Ok(())
}

async fn a_gigabyte_is_copied_in_bounded_memory() -> Ended {
    let printed = run("copy", vec!["1000000000"]).await?;
    let mut lines = printed.lines();
    let first = "1000000000 bytes sent, 1000000000 bytes received";
    assert_eq!(lines.next(), Some(first));
    if cfg!(target_os = "linux") {
        let line = lines.next().ok_or("no line about memory")?;
        let kib = line.split_whitespace().nth(1).ok_or("no number")?;
        assert!(kib.parse::<u64>()? < 32 << 10, "it held {line}");
    }
    println!("a_gigabyte_is_copied_in_bounded_memory ... ok");
    Ok(())
}
