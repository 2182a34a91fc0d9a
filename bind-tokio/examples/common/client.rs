//! The arguments of `client`, shared by all bindings.

use std::error::Error;

use crate::bowline::{Config, Connect, Deflate, Proxy};

pub(crate) fn parse() -> Result<Connect, Box<dyn Error>> {
    const USAGE: &str = "usage: client URL [--header K:V]… [--protocol P]… [--proxy URL|env] [--unix PATH] [--insecure] [--deflate]";
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    // The URL may stand first or last.
    let first = args.first().is_some_and(|arg| !arg.starts_with("--"));
    let url = if first {
        Some(args.remove(0))
    } else {
        args.pop()
    };
    let mut to = Connect::new(url.ok_or(USAGE)?);
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
            "--insecure" => to.danger_accept_invalid_certs(true),
            "--deflate" => to.config(Config::default().deflate(Deflate::default())),
            _ => return Err(USAGE.into()),
        };
    }
    Ok(to)
}
