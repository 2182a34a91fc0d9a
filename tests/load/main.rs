//! Servers under load on each binding: many sockets, many short visits, clients that are slow, more clients than are let
//! in, and a shortage of descriptors. What is checked is what is refused, what goes on meanwhile, and that nothing is left.
//!
//! `BOWLINE_LOAD=20000 cargo test --release -p bowline-tests --test load` opens that many sockets, as far as the system
//! allows; the default is 2,000. Each case has a process for its server, because the limits of a process are changed and
//! its descriptors counted, and another process for the clients.

mod bindings;
mod churn;
mod clients;
mod crowd;
mod flood;
mod footprint;
mod processes;
mod shortage;
mod slow;
mod stage;

fn main() -> std::process::ExitCode {
    processes::main()
}
