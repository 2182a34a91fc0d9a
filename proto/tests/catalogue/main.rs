//! The catalogue of hostile and odd inputs (`tests/catalogue`), run against the core: one test for each id.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
};

use libtest_mimic::{Arguments, Trial};
use testing::catalogue::entries::{self, Entry};

mod client;
mod closing;
mod compression;
mod driver;
mod flood;
mod framing;
mod handshakes;
mod pressure;
mod resources;
mod server;
mod table;
mod text;

/// The existing ids: their numbers have gaps.
const IDS: [(&str, &str); 10] = [
    (
        "HS",
        "1-6 8-9 12-13 15-17 20-22 25-27 30 32-35 37-38 40-47 49-53 58-61 63-74 76-78 80-84 86-97 99-100",
    ),
    ("CH", "1 4-5 7-12 14-26 28-33 35-39 41-51"),
    ("FR", "1 3 5-11 13-16 20-27 29-40 42 44-45 48-67"),
    ("UT", "1-11 13-14 16 18-21 23-24 26-35"),
    ("CL", "1 3-4 6-7 9-12 15 17-21 23-24 26-29 31-48"),
    ("PD", "1 4-6 8-9 11-14 19-42"),
    ("BP", "1-18"),
    ("CA", "1-10"),
    ("TL", "1-15"),
    ("RS", "1-17"),
];

/// A test that a table cannot describe, with the name that its entry gives.
type Test = (&'static str, fn());

fn main() -> ExitCode {
    let entries = entries::load();
    let written = written();
    check_complete(&entries, &written);

    let (mut table, mut apart, mut parts, mut deferred, mut named) = (0, 0, 0, 0, 0);
    let mut elsewhere = Vec::new();
    let mut trials = Vec::new();
    for entry in entries {
        let name = format!("{} {}", entry.id, entry.what);
        if entry.is_deferred() {
            deferred += 1;
            trials.push(Trial::test(name, || Ok(())).with_ignored_flag(true));
            continue;
        }
        if entry.cases.is_empty() && entry.core.is_none() {
            if entry.wire.is_some() {
                elsewhere.push(entry.id);
            } else {
                named += 1;
            }
            continue;
        }
        table += usize::from(!entry.cases.is_empty());
        apart += usize::from(entry.cases.is_empty());
        parts += usize::from(entry.deferred.is_some());
        let test = entry.core.as_ref().map(|name| written[name.as_str()]);
        trials.push(Trial::test(name, move || {
            table::run(&entry);
            if let Some(test) = test {
                // It runs in a thread of its own, which keeps none of the memory of other tests.
                let ended = std::thread::spawn(test).join();
                ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            }
            Ok(())
        }));
    }
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    println!(
        "catalogue, core: {} of {} ran ({table} from the table, {apart} written apart; {parts} of \
         them in part); {deferred} deferred; {named} are tests of other files; {} on sockets only: {}",
        conclusion.num_passed + conclusion.num_failed,
        table + apart,
        elsewhere.len(),
        elsewhere.join(" "),
    );
    conclusion.exit_code()
}

fn written() -> BTreeMap<&'static str, fn()> {
    [
        server::TESTS,
        client::TESTS,
        framing::TESTS,
        flood::TESTS,
        text::TESTS,
        closing::TESTS,
        compression::TESTS,
        pressure::TESTS,
        resources::TESTS,
    ]
    .into_iter()
    .flatten()
    .copied()
    .collect()
}

/// Checks that every id has an entry, and that every entry is run from the table, or by a test that bears its id,
/// or is deferred with a reason.
fn check_complete(entries: &[Entry], written: &BTreeMap<&str, fn()>) {
    let found: Vec<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(found, expected(), "entries.json does not have every id");
    let mut named = BTreeSet::new();
    for entry in entries {
        let id = &entry.id;
        if let Some(name) = entry.core.as_deref() {
            assert!(written.contains_key(name), "{id}: there is no test {name}");
            assert!(
                name.starts_with(&format!("{}_", id.to_lowercase().replace('-', "_"))),
                "{id}: the test {name} does not bear its id"
            );
            named.insert(name);
        }
        for test in &entry.tests {
            assert!(exists(test), "{id}: there is no test {test}");
        }
        assert!(
            !entry.is_deferred() || entry.deferred.is_some(),
            "{id} is not run and not deferred"
        );
        assert!(
            entry
                .deferred
                .as_ref()
                .is_none_or(|reason| reason.len() > 10),
            "{id} is deferred without a reason"
        );
    }
    for name in written.keys() {
        assert!(named.contains(name), "no entry names the test {name}");
    }
}

/// Whether there is a test of this path, `file::name`.
fn exists(test: &str) -> bool {
    let (file, name) = test.split_once("::").expect("file::name");
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let text = std::fs::read_to_string(format!("{root}/{file}"));
    let text = text.unwrap_or_else(|error| panic!("{file}: {error}"));
    // A function, a function of the shell, or a row of a macro.
    ["fn {}(", "fn {}<", "{}() {", "    {} "]
        .iter()
        .any(|wanted| text.contains(&wanted.replacen("{}", name, 1)))
}

fn expected() -> Vec<String> {
    let numbers = |list: &str| -> Vec<u32> {
        list.split(' ')
            .flat_map(|range| {
                let (from, to) = range.split_once('-').unwrap_or((range, range));
                let number = |text: &str| text.parse::<u32>().expect("a number");
                number(from)..=number(to)
            })
            .collect()
    };
    IDS.iter()
        .flat_map(|(chapter, list)| {
            numbers(list)
                .into_iter()
                .map(move |number| format!("{chapter}-{number:03}"))
        })
        .collect()
}
