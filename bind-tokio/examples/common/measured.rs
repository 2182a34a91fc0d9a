//! The arguments of the `ours-*-echo` examples, shared by all bindings: `PORT`, and environment
//! variables.

use std::{
    env::{self, VarError},
    error::Error,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use crate::bowline::{Config, Deflate};

pub(crate) struct Arguments {
    pub(crate) addr: SocketAddr,
    /// `THREADS`, one by default. The blocking binding ignores it.
    #[allow(dead_code)]
    pub(crate) threads: usize,
    pub(crate) config: Arc<Config>,
}

impl Arguments {
    pub(crate) fn parse() -> Result<Self, Box<dyn Error>> {
        const USAGE: &str = "usage: [THREADS=N] [MODE=simple|batch] [DEFLATE=1] ours-…-echo PORT";
        let port = env::args().nth(1).ok_or(USAGE)?.parse()?;
        let mut config = Config::default();
        config.max_message_size = 16 << 20;
        if variable("DEFLATE")?.is_some_and(|value| value != "0") {
            config.deflate = Some(Deflate::default());
        }
        // A loop of `recv` and `feed` batches anyway, so both modes are the same.
        match variable("MODE")?.as_deref() {
            None | Some("simple" | "batch") => {}
            Some(_) => return Err(USAGE.into()),
        }
        Ok(Self {
            addr: (Ipv4Addr::LOCALHOST, port).into(),
            threads: variable("THREADS")?.map_or(Ok(1), |threads| threads.parse())?,
            config: Arc::new(config),
        })
    }
}

fn variable(name: &str) -> Result<Option<String>, VarError> {
    match env::var(name) {
        Err(VarError::NotPresent) => Ok(None),
        other => other.map(Some),
    }
}
