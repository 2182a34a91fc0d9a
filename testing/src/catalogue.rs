//! The catalogue of hostile and odd inputs, for the tests that run it against the core and over sockets.

pub mod answer;
pub mod entries;
