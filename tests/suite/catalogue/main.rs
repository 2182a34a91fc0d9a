//! The catalogue of hostile and odd inputs (`tests/catalogue`), over sockets: one test per binding for
//! each id that has bytes to send.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
    sync::Arc,
};

use libtest_mimic::{Arguments, Trial};
use testing::catalogue::entries::{self, Entry};

#[path = "../binding/mod.rs"]
mod binding;
mod client;
mod connecting;
mod echo;
mod server;
mod sockets;
mod tls;

use binding::{Binding, Blocking, Smol, Tokio};

/// A test for an entry that a table cannot express, under the entry's name.
type Test = (&'static str, fn());

fn main() -> ExitCode {
    let entries = Arc::new(entries::load());
    let mut trials = Vec::new();
    trials.extend(of_binding::<Tokio>("tokio", &entries));
    trials.extend(of_binding::<Smol>("smol", &entries));
    trials.extend(of_binding::<Blocking>("blocking", &entries));

    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    let count = |what: fn(&Entry) -> bool| entries.iter().filter(|entry| what(entry)).count();
    println!(
        "catalogue, sockets: {} ran; for each binding {} from the table, {} written apart, {} of these in \
         part; {} deferred; {} against the core only",
        conclusion.num_passed + conclusion.num_failed,
        count(|entry| !entry.cases.is_empty()),
        count(|entry| entry.cases.is_empty() && entry.wire.is_some()),
        count(|entry| on_the_wire(entry) && entry.deferred.is_some()),
        count(Entry::is_deferred),
        count(|entry| !on_the_wire(entry) && !entry.is_deferred() && entry.tests.is_empty()),
    );
    conclusion.exit_code()
}

fn on_the_wire(entry: &Entry) -> bool {
    !entry.cases.is_empty() || entry.wire.is_some()
}

/// Returns one test for each entry, except entries that concern only the core. Deferred entries are
/// ignored tests.
fn of_binding<B: Binding>(binding: &str, entries: &Arc<Vec<Entry>>) -> Vec<Trial> {
    let written: BTreeMap<&str, fn()> = [
        connecting::tests::<B>(),
        sockets::tests::<B>(),
        tls::tests::<B>(),
    ]
    .into_iter()
    .flatten()
    .collect();
    check_complete(entries, &written);
    let mut trials = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let name = format!("{binding}::{} {}", entry.id, entry.what);
        if entry.is_deferred() {
            trials.push(Trial::test(name, || Ok(())).with_ignored_flag(true));
        } else if on_the_wire(entry) {
            let test = entry.wire.as_ref().map(|name| written[name.as_str()]);
            let entries = entries.clone();
            trials.push(Trial::test(name, move || {
                let entry = &entries[index];
                for case in &entry.cases {
                    server::run::<B>(entry, case);
                    client::run::<B>(entry, case);
                }
                if let Some(test) = test {
                    test();
                }
                Ok(())
            }));
        }
    }
    trials
}

/// Checks that every test named by an entry exists. The core's runner checks the ids.
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
