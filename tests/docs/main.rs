//! Checks that documents which repeat a default or a feature agree with the code and with each other.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use bowline_tokio::{Backoff, Config};

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the rows of the table whose first line is `head`, cell by cell.
fn table(text: &str, head: &str) -> Vec<Vec<String>> {
    let rows = text.lines().skip_while(|line| *line != head).skip(2);
    let rows: Vec<_> = rows
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells = line.trim().trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect();
    assert!(!rows.is_empty(), "there is no table {head}");
    rows
}

/// Returns every default as documents write it.
fn defaults() -> BTreeMap<&'static str, String> {
    let size = |size: u64| match size {
        u64::MAX => "unlimited".to_owned(),
        size if size >= 1 << 20 => format!("{} MiB", size >> 20),
        size => format!("{} KiB", size >> 10),
    };
    let time = |time: Option<Duration>| match time {
        Some(time) => format!("{} s", time.as_secs()),
        None => "`None`".to_owned(),
    };
    let none = |is_none: bool| {
        assert!(is_none, "say how documents write it");
        "`None`".to_owned()
    };
    let code = |flag: bool| format!("`{flag}`");
    let Config {
        max_message_size,
        max_frame_size,
        max_stream_size,
        max_fragments,
        max_send_size,
        send_frame_size,
        send_high_water,
        keep_alive,
        keep_alive_kind,
        pong_timeout,
        close_timeout,
        write_timeout,
        message_timeout,
        idle_timeout,
        reply_to_close,
        handshake_timeout,
        max_head_size,
        max_head_line,
        max_head_fields,
        max_interim_responses,
        max_error_body,
        require_subprotocol,
        deflate,
        entropy: _,
        ..
    } = Config::default();
    assert_eq!(max_fragments, 16_384);
    BTreeMap::from([
        ("max_message_size", size(max_message_size as u64)),
        ("max_frame_size", none(max_frame_size.is_none())),
        ("max_stream_size", size(max_stream_size)),
        ("max_fragments", "16,384".to_owned()),
        ("max_send_size", size(max_send_size as u64)),
        ("send_frame_size", none(send_frame_size.is_none())),
        ("send_high_water", size(send_high_water as u64)),
        ("keep_alive", time(keep_alive)),
        ("keep_alive_kind", format!("`{keep_alive_kind:?}`")),
        ("pong_timeout", time(pong_timeout)),
        ("close_timeout", time(close_timeout)),
        ("write_timeout", time(write_timeout)),
        ("message_timeout", time(message_timeout)),
        ("idle_timeout", time(idle_timeout)),
        ("reply_to_close", code(reply_to_close)),
        ("handshake_timeout", time(handshake_timeout)),
        ("max_head_size", size(max_head_size as u64)),
        ("max_head_line", size(max_head_line as u64)),
        ("max_head_fields", max_head_fields.to_string()),
        ("max_interim_responses", max_interim_responses.to_string()),
        ("max_error_body", size(max_error_body as u64)),
        ("require_subprotocol", code(require_subprotocol)),
        ("deflate", none(deflate.is_none())),
        ("entropy", "the system's randomness".to_owned()),
    ])
}

/// Returns the public fields of a struct, each with the default that its documentation states.
fn documented(path: &str, name: &str) -> BTreeMap<String, String> {
    let source = read(path);
    let (_, fields) = source.split_once(&format!("pub struct {name} {{")).unwrap();
    let (fields, _) = fields.split_once("\n}").unwrap();
    let mut documented = BTreeMap::new();
    let mut text = String::new();
    for line in fields.lines().map(str::trim) {
        if let Some(line) = line.strip_prefix("///") {
            text.push_str(line);
        } else if let Some(field) = line.strip_prefix("pub ") {
            let (name, _) = field.split_once(':').unwrap();
            let (_, default) = text
                .split_once("Default: ")
                .unwrap_or_else(|| panic!("{name} has no default"));
            let default = default.strip_suffix('.').unwrap();
            documented.insert(name.to_owned(), default.to_owned());
            text.clear();
        }
    }
    documented
}

#[test]
fn the_table_of_limits_and_rustdoc_state_the_defaults() {
    let defaults: BTreeMap<_, _> = defaults()
        .into_iter()
        .map(|(name, default)| (name.to_owned(), default))
        .collect();
    assert_eq!(
        documented("proto/src/config.rs", "Config"),
        defaults,
        "proto/src/config.rs"
    );
    let rows = table(
        &read("docs/limits.md"),
        "| field | default | unit | beyond it |",
    );
    let rows: BTreeMap<_, _> = rows
        .into_iter()
        .map(|row| (row[0].trim_matches('`').to_owned(), row[1].clone()))
        .collect();
    assert_eq!(rows, defaults, "docs/limits.md");
}

/// Returns the features of a crate, each with whether it is on by default.
fn features(manifest: &str) -> BTreeMap<String, bool> {
    let manifest = read(manifest);
    let (_, section) = manifest.split_once("[features]\n").unwrap();
    let (section, _) = section.split_once("\n[").unwrap();
    let lines = section.lines().filter(|line| !line.starts_with('#'));
    let mut features: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| (name.to_owned(), false))
        .collect();
    features.remove("default");
    let on = section
        .lines()
        .find_map(|line| line.strip_prefix("default = "));
    for name in on.unwrap().trim_matches(['[', ']']).split(", ") {
        *features.get_mut(name.trim_matches('"')).unwrap() = true;
    }
    features
}

#[test]
fn each_binding_documents_its_features() {
    for (binding, document, comment) in [
        ("bind-tokio", "bind-tokio/docs/crate.md", ""),
        ("bind-smol", "bind-smol/docs/crate.md", ""),
        ("bind-blocking", "bind-blocking/src/lib.rs", "//! "),
    ] {
        let text = read(document).replace(comment, "");
        let mut stated = BTreeMap::new();
        for row in table(&text, "| feature | |") {
            for name in row[0].split(", ") {
                let (name, on) = match name.strip_suffix(" (default)") {
                    Some(name) => (name, true),
                    None => (name, false),
                };
                stated.insert(name.trim_matches('`').to_owned(), on);
            }
        }
        assert_eq!(
            stated,
            features(&format!("{binding}/Cargo.toml")),
            "{document}"
        );
    }
}

/// The guide to TLS has only the features of TLS.
#[test]
fn the_guide_to_tls_states_its_features() {
    let features = features("bind-tokio/Cargo.toml");
    for row in table(&read("docs/tls.md"), "| feature | default | it brings |") {
        let name = row[0].trim_matches('`');
        let stated = match row[1].as_str() {
            "on" => true,
            "off" => false,
            other => panic!("{name} is {other}"),
        };
        assert_eq!(features.get(name), Some(&stated), "{name}");
    }
}

#[test]
fn every_default_of_reconnecting_is_documented_as_it_is() {
    let Backoff {
        base,
        factor,
        cap,
        jitter,
        attempts,
        total,
        reset_after,
        max_retry_after,
        ..
    } = Backoff::default();
    assert_eq!((attempts, total), (None, None));
    let seconds = |time: Duration| format!("{} s", time.as_secs());
    let expected = BTreeMap::from([
        ("base", seconds(base)),
        ("factor", factor.to_string()),
        ("cap", seconds(cap)),
        ("jitter", format!("`{jitter}`")),
        ("attempts", "`None`".to_owned()),
        ("total", "`None`".to_owned()),
        ("reset_after", seconds(reset_after)),
        (
            "max_retry_after",
            format!("{} min", max_retry_after.as_secs() / 60),
        ),
    ]);
    let expected: BTreeMap<_, _> = expected
        .into_iter()
        .map(|(field, default)| (field.to_owned(), default))
        .collect();
    assert_eq!(
        documented("bind/src/reconnect/backoff.rs", "Backoff"),
        expected
    );
    let rows = table(
        &read("docs/reconnecting.md"),
        "| field | default | meaning |",
    );
    let rows: BTreeMap<_, _> = rows
        .into_iter()
        .map(|row| (row[0].trim_matches('`').to_owned(), row[1].clone()))
        .collect();
    assert_eq!(rows, expected);
}

#[test]
fn the_guide_to_reconnecting_has_the_program_that_is_tested() {
    let program = read("bind-tokio/examples/reconnecting.rs");
    assert!(read("docs/reconnecting.md").contains(&program));
    assert!(program.lines().count() <= 40);
}

/// The guide and the README have no `pub(crate)`, which the test of the example needs.
#[test]
fn the_readme_and_the_guides_have_the_servers_that_are_tested() {
    let example = |name: &str| {
        let program = read(&format!("bind-tokio/examples/{name}.rs"));
        program.replace("pub(crate) ", "")
    };
    let (readme, guide) = (read("README.md"), read("docs/serving.md"));
    let serving = example("serving");
    assert!(readme.contains(&serving) && guide.contains(&serving));
    // Without the line of documentation.
    let axum = example("axum");
    let (_, axum) = axum.split_once('\n').unwrap();
    assert!(readme.contains(axum));
    // The documentation of the crate is where this is compiled.
    let smol = read("bind-smol/docs/server.md");
    let (_, smol) = smol.split_once("```no_run\n").unwrap();
    let (smol, _) = smol.split_once("```").unwrap();
    assert!(guide.contains(smol));
}

/// Returns the default of an option of `Server`, as its documentation states it.
fn default_of_server(source: &str, option: &str) -> String {
    let (before, _) = source
        .split_once(&format!("pub fn {option}("))
        .unwrap_or_else(|| panic!("there is no option {option}"));
    let lines = before.trim_end().lines().rev();
    let comment = lines.map_while(|line| line.trim().strip_prefix("///"));
    let mut comment: Vec<_> = comment.collect();
    comment.reverse();
    let text = comment.concat();
    let (_, default) = text
        .split_once("Default: ")
        .unwrap_or_else(|| panic!("{option} has no default"));
    let (default, _) = default.split_once('.').unwrap();
    default.to_owned()
}

#[test]
fn every_default_of_a_server_is_documented_as_it_is() {
    let source = read("bind/src/server.rs");
    for (document, head) in [
        (
            "docs/limits.md",
            "| option of `Server` | default | unit | beyond it |",
        ),
        (
            "docs/serving.md",
            "| option of `Server` | default | beyond it |",
        ),
    ] {
        for row in table(&read(document), head) {
            let option = row[0].trim_matches('`');
            assert_eq!(
                row[1],
                default_of_server(&source, option),
                "{option} in {document}"
            );
        }
    }
}
