//! Checks which module imports which. `docs/architecture.md` lists the modules of each crate in an order, and each may
//! import only from those before it. There is therefore no circle, and every import names the module that defines.

use std::{collections::BTreeMap, fs, path::Path};

mod imports;

use imports::imported;

/// The modules of a crate, in their order.
struct Crate {
    /// The folder of its sources.
    dir: String,
    order: Vec<String>,
}

/// Returns each crate's row of the table in `text`: its folder and its modules.
fn crates(text: &str) -> Vec<Crate> {
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with("| sources | modules"));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    cells
        .map(|cells| Crate {
            dir: cells[1].trim_matches('`').to_owned(),
            order: cells[2]
                .split([',', ' '])
                .map(|name| name.trim_matches('`').to_owned())
                .filter(|name| !name.is_empty())
                .collect(),
        })
        .collect()
}

/// Returns the text of each module in `dir`, including its submodules.
fn modules(dir: &Path) -> BTreeMap<String, String> {
    let mut modules = BTreeMap::<String, String>::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(folder) = dirs.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let name = path.strip_prefix(dir).unwrap().with_extension("");
            let name = name.iter().next().unwrap().to_str().unwrap();
            let text = fs::read_to_string(&path).unwrap();
            modules.entry(name.to_owned()).or_default().push_str(&text);
        }
    }
    modules
}

/// Returns each import that breaks the order, and each name that is only in the order or only in the
/// folder.
fn faults(modules: &BTreeMap<String, String>, order: &[String]) -> Vec<String> {
    let place = |name: &str| order.iter().position(|other| other == name);
    let mut faults = Vec::new();
    for name in order {
        if !modules.contains_key(name) {
            faults.push(format!("`{name}` is in the order, and is no module"));
        }
    }
    for (name, text) in modules.iter().filter(|(name, _)| *name != "lib") {
        let Some(own) = place(name) else {
            faults.push(format!("`{name}` is not in the order"));
            continue;
        };
        for import in imported(text) {
            match place(&import) {
                Some(place) if place <= own => {}
                Some(_) => faults.push(format!(
                    "`{name}` imports from `{import}`, which comes after it"
                )),
                None => faults.push(format!(
                    "`{name}` imports `{import}` from lib.rs, which does not define it"
                )),
            }
        }
    }
    faults
}

#[test]
fn every_module_imports_from_those_before_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    let crates = crates(&text);
    assert_eq!(crates.len(), 5, "the table has a row for each crate");
    for Crate { dir, order } in crates {
        let found = faults(&modules(&root.join(&dir)), &order);
        assert!(found.is_empty(), "{dir}:\n{}", found.join("\n"));
    }
}

/// Makes a crate with these modules, in this order.
fn faults_of(modules: &[(&str, &str)]) -> Vec<String> {
    let order: Vec<_> = modules.iter().map(|(name, _)| (*name).to_owned()).collect();
    let texts = modules
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    faults(&texts.collect(), &order)
}

#[test]
fn a_planted_circle_is_found() {
    let time = ("time", "pub struct Instant;");
    let error = (
        "error",
        "use crate::time::Instant;\npub struct Error(Instant);",
    );
    assert!(faults_of(&[time, error]).is_empty());
    let circle = (
        "time",
        "use crate::{\n    // Why not.\n    error::{Error, kind::Kind},\n};",
    );
    assert_eq!(
        faults_of(&[circle, error]),
        ["`time` imports from `error`, which comes after it"]
    );
    // An import by a path in an expression.
    let circle = ("time", "fn now() -> u8 { crate::error::kind() }");
    assert_eq!(faults_of(&[circle, error]).len(), 1);
    // An import by a submodule.
    let circle = ("time", "use super::super::error::Error;");
    assert_eq!(faults_of(&[circle, error]).len(), 1);
}

#[test]
fn an_import_that_does_not_name_its_module_is_found() {
    let error = ("error", "pub struct Error;");
    let socket = ("socket", "use crate::{Error, error};");
    assert_eq!(
        faults_of(&[error, socket]),
        ["`socket` imports `Error` from lib.rs, which does not define it"]
    );
}

#[test]
fn a_module_that_the_order_does_not_have_is_found() {
    let modules = [("time".to_owned(), String::new())].into();
    assert_eq!(faults(&modules, &[]), ["`time` is not in the order"]);
    let order = ["gone".to_owned(), "time".to_owned()];
    assert_eq!(
        faults(&modules, &order),
        ["`gone` is in the order, and is no module"]
    );
}

/// Comments and code compiled only for tests may name any module.
#[test]
fn what_is_said_in_comments_and_tests_does_not_count() {
    let text = "/// See [`Error`](crate::error::Error).\npub struct Time; // crate::error\n\
        #[cfg(test)]\nmod tests {\n    use crate::error::Error;\n}\n";
    let error = ("error", "pub struct Error;");
    assert!(faults_of(&[("time", text), error]).is_empty());
}
