//! The arguments of `autobahn_client`, the same for every binding.

use std::{error::Error, sync::Arc};

use crate::bowline::{Config, Deflate};

/// The URL of the fuzzing server, without a slash at its end, and what its cases need.
pub(crate) fn parse() -> Result<(String, Arc<Config>), Box<dyn Error>> {
    const USAGE: &str = "usage: autobahn_client URL [--deflate]";
    let mut args = std::env::args().skip(1);
    let server = args.next().ok_or(USAGE)?;
    let mut config = Config::default();
    // Behind 65,536 fragments there is an empty one.
    config.max_message_size = 16 << 20;
    config.max_fragments = 65_537;
    match args.next().as_deref() {
        Some("--deflate") => config.deflate = Some(Deflate::default()),
        Some(_) => return Err(USAGE.into()),
        None => {}
    }
    Ok((server.trim_end_matches('/').to_owned(), Arc::new(config)))
}
