//! The texts of errors and logs.

use std::fmt::{Debug, Display};

/// Checks that an error is one line that fits after a colon, whatever the peer contributed to it.
pub(crate) fn one_line(error: &impl Display) {
    let said = error.to_string();
    assert!(!said.is_empty() && !said.ends_with('.'), "{said:?}");
    assert!(!said.contains(|c: char| c.is_control()), "{said:?}");
}

/// Checks that logs show the state, and do not grow during the life of a connection.
pub(crate) fn short(state: &impl Debug) {
    let shown = format!("{state:?}");
    assert!(shown.len() < 1500, "{shown}");
}
