//! What errors and logs say.

use std::fmt::{Debug, Display};

/// An error is one line that fits behind a colon, whatever the peer had to do with it.
pub(crate) fn one_line(error: &impl Display) {
    let said = error.to_string();
    assert!(!said.is_empty() && !said.ends_with('.'), "{said:?}");
    assert!(!said.contains(|c: char| c.is_control()), "{said:?}");
}

/// Logs show how things stand, and no more of it the longer a connection lives.
pub(crate) fn short(state: &impl Debug) {
    let shown = format!("{state:?}");
    assert!(shown.len() < 1500, "{shown}");
}
