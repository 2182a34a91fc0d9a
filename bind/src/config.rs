use proto::{Config, EntropyError};

/// The default [`Config`], with the randomness of the operating system.
pub fn config() -> Config {
    Config::new(|buf| getrandom::fill(buf).map_err(|_| EntropyError))
}
