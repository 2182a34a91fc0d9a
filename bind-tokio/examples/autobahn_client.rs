//! Runs the cases of Autobahn's fuzzing server: `autobahn_client URL [--deflate]`.

use std::error::Error;

use bowline_tokio as bowline;

#[path = "common/autobahn.rs"]
mod autobahn;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    autobahn::run("bowline-tokio").await
}
