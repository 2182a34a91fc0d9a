//! The catalogue of hostile and odd inputs (`tests/catalogue`), over sockets: one test for each id
//! that has bytes to send.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
};

use libtest_mimic::{Arguments, Trial};

#[path = "../../../tests/catalogue/answer.rs"]
mod answer;
mod client;
mod connecting;
mod echo;
#[path = "../../../tests/catalogue/entries.rs"]
mod entries;
#[path = "../../../tests/catalogue/frames.rs"]
mod frames;
mod server;
mod sockets;
mod tls;

use entries::Entry;

/// What a table cannot tell, under the name that its entry gives.
type Test = (&'static str, fn());

fn main() -> ExitCode {
    let entries = entries::load();
    let written: BTreeMap<&str, fn()> = [connecting::TESTS, sockets::TESTS, tls::TESTS]
        .into_iter()
        .flatten()
        .copied()
        .collect();
    check_complete(&entries, &written);

    let (mut table, mut apart, mut parts, mut deferred, mut core) = (0, 0, 0, 0, 0);
    let mut trials = Vec::new();
    for entry in entries {
        let name = format!("{} {}", entry.id, entry.what);
        if entry.is_deferred() {
            deferred += 1;
            trials.push(Trial::test(name, || Ok(())).with_ignored_flag(true));
            continue;
        }
        if entry.cases.is_empty() && entry.wire.is_none() {
            core += 1;
            continue;
        }
        table += usize::from(!entry.cases.is_empty());
        apart += usize::from(entry.cases.is_empty());
        parts += usize::from(entry.deferred.is_some());
        let test = entry.wire.as_ref().map(|name| written[name.as_str()]);
        trials.push(Trial::test(name, move || {
            for case in &entry.cases {
                server::run(&entry, case);
                client::run(&entry, case);
            }
            if let Some(test) = test {
                test();
            }
            Ok(())
        }));
    }
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    println!(
        "catalogue, sockets: {} of {} ran ({table} from the table, {apart} written apart; {parts} of \
         them in part); {deferred} deferred; {core} against the core only",
        conclusion.num_passed + conclusion.num_failed,
        table + apart,
    );
    conclusion.exit_code()
}

/// The core's runner knows which ids there are; here every test that an entry names must exist.
fn check_complete(entries: &[Entry], written: &BTreeMap<&str, fn()>) {
    let mut named = BTreeSet::new();
    for entry in entries {
        let id = &entry.id;
        if let Some(name) = entry.wire.as_deref() {
            assert!(written.contains_key(name), "{id}: there is no test {name}");
            assert!(
                name.starts_with(&format!("{}_", id.to_lowercase().replace('-', "_"))),
                "{id}: the test {name} does not bear its id"
            );
            named.insert(name);
        }
    }
    for name in written.keys() {
        assert!(named.contains(name), "no entry names the test {name}");
    }
}
