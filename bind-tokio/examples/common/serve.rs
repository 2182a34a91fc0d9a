//! The options of `serve`, shared by all bindings.

use std::{
    error::Error,
    io::{self, Read},
    time::Duration,
};

use bind::{ClientRequest, Server, ServerHost, Subnet};

use crate::bowline::Config;

#[path = "tls.rs"]
mod tls;

const USAGE: &str = "usage: serve [--listen ADDR]… [--unix PATH]… [--cert FILE --key FILE] [--proxy-protocol CIDR]… \
                     [--forwarded CIDR]… [--max N] [--page] [--keep-alive SECONDS]";

/// The page connects to the server that it comes from, and shows what it receives.
const PAGE: &str = "<!doctype html><meta charset=utf-8><title>serve</title><p id=echo></p><script>
const socket = new WebSocket(location.origin.replace('http', 'ws') + '/ws');
socket.onopen = () => socket.send('hello');
socket.onmessage = ({ data }) => { document.querySelector('#echo').textContent = data; };
</script>";

/// Makes a server as the arguments of the program say, which has no handlers yet, and prints where it listens.
pub(crate) fn server<H: ServerHost>(host: H) -> Result<Server<H>, Box<dyn Error>> {
    let mut server = Server::on(host);
    let mut config = Config::default();
    let (mut proxies, mut trusted) = (Vec::<Subnet>::new(), Vec::<Subnet>::new());
    let (mut cert, mut key) = (None, None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        match &arg[..] {
            "--listen" => server = server.listen(value()?)?,
            "--unix" => server = server.listen_unix(value()?)?,
            "--cert" => cert = Some(value()?),
            "--key" => key = Some(value()?),
            "--proxy-protocol" => proxies.push(value()?.parse()?),
            "--forwarded" => trusted.push(value()?.parse()?),
            "--max" => server = server.max_connections(value()?.parse()?),
            "--page" => server = server.page("/", "text/html", PAGE),
            "--keep-alive" => config.keep_alive = Some(Duration::from_secs(value()?.parse()?)),
            _ => return Err(USAGE.into()),
        }
    }
    if let (Some(cert), Some(key)) = (cert, key) {
        server = server.tls(tls::server_config(&cert, &key)?);
    }
    if !proxies.is_empty() {
        server = server.proxy_protocol(proxies);
    }
    for addr in server.local_addrs() {
        println!("listening on {addr}");
    }
    println!("ready");
    let server = server.forwarded(trusted).config(config);
    Ok(server.on_error(|error| eprintln!("{error}")))
}

/// Returns what the server knows of its client.
pub(crate) fn who(request: &ClientRequest) -> String {
    let addr = request.client_addr();
    addr.map_or_else(|| "unknown".to_owned(), |addr| addr.to_string())
}

/// Waits for a byte of the input, or for its end.
pub(crate) fn wait_for_input() {
    let _ = io::stdin().read(&mut [0]);
}
