//! Runs the cases of Autobahn's fuzzing server: `autobahn_client URL [--deflate]`.

use std::error::Error;

use bowline_smol as bowline;

#[path = "../../bind-tokio/examples/common/autobahn.rs"]
mod autobahn;

fn main() -> Result<(), Box<dyn Error>> {
    smol::block_on(autobahn::run("bowline-smol"))
}
