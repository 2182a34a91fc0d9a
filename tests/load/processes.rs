//! The processes of this test, which are all of the same program: the one that `cargo test` starts, and for each case a
//! server and its clients.

use std::{
    env,
    process::{Command, ExitCode, Stdio, exit},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use libtest_mimic::{Arguments, Failed, Trial};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    bindings::{Binding, Blocking, Smol, Tokio},
    churn, clients, crowd, flood, shortage, slow,
};

/// Says what a process is: `server tokio::crowd` or `clients 127.0.0.1:4711`.
pub(crate) const ROLE: &str = "BOWLINE_LOAD_ROLE";

/// A case, as its server's process runs it.
type Case = fn(usize);

/// The lines that the servers have printed.
type Figures = Arc<Mutex<Vec<String>>>;

pub(crate) fn main() -> ExitCode {
    let role = env::var(ROLE).unwrap_or_default();
    match role.split_once(' ') {
        Some(("server", name)) => {
            end_if_it_hangs();
            let cases = cases();
            let case = cases.iter().find(|(known, _)| known == name);
            let sockets = size().min(descriptors());
            case.unwrap().1(sockets);
            ExitCode::SUCCESS
        }
        Some(("clients", addr)) => {
            end_if_it_hangs();
            descriptors();
            clients::run(addr.parse().unwrap());
            ExitCode::SUCCESS
        }
        _ => all(),
    }
}

/// Runs the cases one after the other, because they would disturb each other's times, and prints what they measured.
fn all() -> ExitCode {
    let figures = Figures::default();
    let trial = |(name, _): (String, Case)| {
        let figures = figures.clone();
        let trial = Trial::test(name.clone(), move || serve(&name, &figures));
        // Descriptors and threads are counted in `/proc`.
        trial.with_ignored_flag(!cfg!(target_os = "linux"))
    };
    let trials = cases().into_iter().map(trial).collect();
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(1);
    let conclusion = libtest_mimic::run(&arguments, trials);
    let figures = figures.lock().unwrap_or_else(PoisonError::into_inner);
    figures.iter().for_each(|line| println!("{line}"));
    conclusion.exit_code()
}

fn cases() -> Vec<(String, Case)> {
    let mut cases = of_binding::<Tokio>();
    cases.extend(of_binding::<Smol>());
    cases.extend(of_binding::<Blocking>());
    cases
}

fn of_binding<B: Binding>() -> Vec<(String, Case)> {
    let cases: [(&str, Case); 5] = [
        ("crowd", crowd::run::<B>),
        ("churn", churn::run::<B>),
        ("slow_handshakes", slow::run::<B>),
        ("flood", flood::run::<B>),
        ("shortage_of_descriptors", shortage::run::<B>),
    ];
    let named = cases.map(|(name, case)| (format!("{}::{name}", B::NAME), case));
    named.into()
}

/// Runs a case in a process of its own.
fn serve(name: &str, figures: &Figures) -> Result<(), Failed> {
    let mut command = this_program(&format!("server {name}"));
    let output = command.stderr(Stdio::piped()).output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let mut figures = figures.lock().unwrap_or_else(PoisonError::into_inner);
    let lines = printed.lines();
    figures.extend(lines.map(|line| format!("{name:<34} {line}")));
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}\n{printed}{errors}", output.status).into())
}

pub(crate) fn this_program(role: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.env(ROLE, role);
    command
}

/// Returns the number of sockets that are asked for.
fn size() -> usize {
    env::var("BOWLINE_LOAD").map_or(2000, |size| size.parse().unwrap())
}

/// Lets this process have as many descriptors as the system allows, and returns how many of them can be sockets.
fn descriptors() -> usize {
    /// For the runtime, the standard streams and the listening socket.
    const OTHERS: u64 = 100;
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum;
    setrlimit(Resource::Nofile, Rlimit { current, ..limit }).unwrap();
    let most = current.map(|most| most.saturating_sub(OTHERS));
    most.map_or(usize::MAX, |most| most.try_into().unwrap())
}

/// Ends this process after a time that is long enough on any machine.
fn end_if_it_hangs() {
    const LIMIT: Duration = Duration::from_secs(300);
    thread::spawn(|| {
        thread::sleep(LIMIT);
        eprintln!("this process hangs");
        exit(1);
    });
}
