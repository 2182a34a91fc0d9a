//! Every body over the committed corpus of its fuzz target, on any toolchain. `fuzz/run` makes more of it.

use std::{fs, path::Path};

/// Runs `body` over all inputs of `target`, of which there must be some.
fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target);
    let entries = fs::read_dir(&folder);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut count = 0;
    for entry in entries {
        let path = entry.expect("an entry").path();
        let data = fs::read(&path).expect("an input");
        let told = Told(&path);
        body(&data);
        std::mem::forget(told);
        count += 1;
    }
    assert!(count >= 50, "{count} inputs are no corpus of {target}");
}

/// Tells which input failed, if one did.
struct Told<'a>(&'a Path);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        eprintln!("the input is {}", self.0.display());
    }
}

macro_rules! targets {
    ($($target:ident)*) => {$(
        #[test]
        fn $target() {
            replay(stringify!($target), bowline_testing::bodies::$target::run);
        }
    )*

        /// No corpus is without its body here, but that of what needs other implementations.
        #[test]
        fn no_corpus_is_left_out() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
            for entry in fs::read_dir(folder).expect("the corpora") {
                let name = entry.expect("an entry").file_name();
                let known = [$(stringify!($target)),*, "differential"];
                assert!(known.iter().any(|target| name == *target), "{name:?}");
            }
        }
    };
}

targets! {
    binding connection deflate frame handshake_client handshake_server no_proxy pair proxy_protocol tunnel url_headers
}
