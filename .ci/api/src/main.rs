//! Prints the public items of a crate, from rustdoc's JSON: `bowline-api FILE`.

use std::{env, error::Error};

fn main() -> Result<(), Box<dyn Error>> {
    let json = env::args().nth(1).ok_or("usage: bowline-api FILE")?;
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .build()?;
    print!("{api}");
    Ok(())
}
