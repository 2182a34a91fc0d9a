//! Runs the whole corpus, and checks the table of differences.

use std::{collections::BTreeSet, fs, path::Path};

use bowline_differential::{mismatches, table::ROWS};

#[test]
fn every_mismatch_is_in_the_table_and_every_row_is_needed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus/differential");
    let (mut count, mut used) = (0, BTreeSet::new());
    for entry in fs::read_dir(folder).expect("a corpus") {
        let data = fs::read(entry.expect("an entry").path()).expect("an input");
        for mismatch in mismatches(&data) {
            let row = mismatch.row().unwrap_or_else(|| panic!("{mismatch}"));
            used.insert(format!("{row:?}"));
        }
        count += 1;
    }
    assert!(count >= 50, "{count} inputs are no corpus");
    let unused = ROWS.iter().map(|row| format!("{row:?}"));
    let unused: Vec<String> = unused.filter(|row| !used.contains(row)).collect();
    assert!(unused.is_empty(), "no input needs {unused:#?}");
}
