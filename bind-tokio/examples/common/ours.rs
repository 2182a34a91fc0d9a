//! The arguments of the `ours-…-echo` servers, which are made to be measured: the same for every binding.

use std::{env, error::Error, net::Ipv4Addr, sync::Arc};

use crate::bowline::{Config, Deflate, config};

pub(crate) struct Arguments {
    pub(crate) addr: (Ipv4Addr, u16),
    /// How many threads serve; one by default.
    #[allow(dead_code, reason = "the blocking binding has one for each connection")]
    pub(crate) threads: usize,
    pub(crate) config: Arc<Config>,
}

impl Arguments {
    pub(crate) fn parse() -> Result<Self, Box<dyn Error>> {
        const USAGE: &str =
            "usage: [THREADS=n] [MODE=simple|batch] [DEFLATE=1] ours-…-echo PORT (on 127.0.0.1)";
        let port = env::args().nth(1).ok_or(USAGE)?.parse()?;
        // Elsewhere one batches by hand. Here `recv` writes what is queued before it waits, so that the
        // loop that comes first to mind is the batched one: both modes are the same loop.
        if !["", "simple", "batch"].contains(&&variable("MODE")[..]) {
            return Err(USAGE.into());
        }
        let mut config = config();
        config.max_message_size = 64 << 20;
        config.max_frame_size = 64 << 20;
        if variable("DEFLATE") == "1" {
            config.deflate = Some(Deflate::default());
        }
        Ok(Self {
            addr: (Ipv4Addr::LOCALHOST, port),
            threads: match &variable("THREADS")[..] {
                "" => 1,
                threads => threads.parse()?,
            },
            config: Arc::new(config),
        })
    }
}

/// What the environment says, or nothing.
fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}
