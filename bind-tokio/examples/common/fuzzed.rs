//! The arguments of `autobahn_client`, shared by all bindings.

use std::{error::Error, sync::Arc};

use crate::bowline::{Config, Deflate};

/// Returns the URL of the fuzzing server, without a trailing slash, and the configuration for its cases.
pub(crate) fn parse() -> Result<(String, Arc<Config>), Box<dyn Error>> {
    const USAGE: &str = "usage: autobahn_client URL [--deflate]";
    let mut args = std::env::args().skip(1);
    let server = args.next().ok_or(USAGE)?;
    let mut config = Config::default();
    // One case sends an empty fragment after 65,536 others.
    config.max_message_size = 16 << 20;
    config.max_fragments = 65_537;
    match args.next().as_deref() {
        Some("--deflate") => config.deflate = Some(Deflate::default()),
        Some(_) => return Err(USAGE.into()),
        None => {}
    }
    Ok((server.trim_end_matches('/').to_owned(), Arc::new(config)))
}
