//! The arguments of `echo_server`, shared by all bindings.

use std::{error::Error, sync::Arc};

use crate::bowline::{Config, rustls::ServerConfig};

#[path = "tls.rs"]
mod tls;

const USAGE: &str =
    "usage: echo_server ADDR [--tls CERT KEY] [--max-message BYTES] [--deflate] [--level 1-9]";

pub(crate) struct Arguments {
    pub(crate) addr: String,
    pub(crate) config: Arc<Config>,
    pub(crate) tls: Option<Arc<ServerConfig>>,
}

impl Arguments {
    pub(crate) fn parse() -> Result<Self, Box<dyn Error>> {
        let mut addr = None;
        let mut tls = None;
        let mut config = Config::default();
        // Autobahn's test suite sends as much: one case has an empty fragment after 65,536 others.
        config.max_message_size = 16 << 20;
        config.max_fragments = 65_537;
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match &arg[..] {
                "--tls" => tls = Some(tls::server_config(&value()?, &value()?)?),
                "--max-message" => config.max_message_size = value()?.parse()?,
                "--deflate" => {
                    config.deflate.get_or_insert_default();
                }
                "--level" => config.deflate.get_or_insert_default().level = value()?.parse()?,
                _ => addr = Some(arg),
            }
        }
        Ok(Self {
            addr: addr.ok_or(USAGE)?,
            config: Arc::new(config),
            tls,
        })
    }
}
