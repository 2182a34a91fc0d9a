//! The games: every scenario, with one fault after the other.

use std::{env, fmt, thread, time::Duration};

use crate::{
    bench::Bench,
    check::Tolerance,
    cutter::{Cut, Cutter, Which},
    plan::{Call, Fault, Plan},
    play::{Seen, Troubled, play},
    scenarios::SCENARIOS,
    script::Scenario,
};

/// Fails the first call of a transport, then the second, and so on, until the game has no further call.
///
/// With TLS, only every sixth combination of a scenario, a fault and an end is played, because they take most of the time;
/// `BOWLINE_FAULTS=all` plays all.
pub(crate) fn every_call_fails<B: Bench>(fault: Fault, tls: bool) {
    let all = !tls || env::var("BOWLINE_FAULTS").is_ok_and(|which| which == "all");
    let mut games = Vec::new();
    for (number, scenario) in SCENARIOS.iter().enumerate() {
        for side in [Side::Client, Side::Server] {
            if all || (number + fault as usize + side as usize).is_multiple_of(6) {
                games.push(Box::pin(every_call_of_one::<B>(scenario, side, fault, tls)));
            }
        }
    }
    B::run(games);
}

async fn every_call_of_one<B: Bench>(
    scenario: &'static Scenario,
    side: Side,
    fault: Fault,
    tls: bool,
) {
    let untouched = untouched::<B>(scenario, side, tls).await;
    for number in 1.. {
        let trouble = Troubled {
            plan: Plan::new(Some((number, fault)), scenario.opening),
            ..Troubled::default()
        };
        let game = one::<B>(scenario, side, trouble, tls, (number, fault)).await;
        let tolerance = match game.hit {
            Some(_) if !B::HARMLESS.contains(&fault) => Tolerance::Any,
            _ => Tolerance::None,
        };
        game.check(Some(&untouched), tolerance);
        if game.hit.is_none() {
            break;
        }
    }
}

/// Drops each future while it waits, and repeats its call: first the future that waits first, then the
/// next one, until no further one waits; and at last every future that loses nothing by it.
pub(crate) fn every_future_is_dropped<B: Bench>(tls: bool) {
    let games = SCENARIOS.iter().flat_map(|scenario| {
        let sides = [Side::Client, Side::Server];
        sides.map(|side| Box::pin(every_future_of_one::<B>(scenario, side, tls)))
    });
    B::run(games.collect());
}

async fn every_future_of_one<B: Bench>(scenario: &'static Scenario, side: Side, tls: bool) {
    let untouched = untouched::<B>(scenario, side, tls).await;
    let waits = (1..).map(Which::Wait);
    for which in [Which::Every].into_iter().chain(waits) {
        let trouble = Troubled {
            cutter: Cutter::new(which),
            ..Troubled::default()
        };
        let game = one::<B>(scenario, side, trouble, tls, which).await;
        let tolerance = match game.cut {
            None | Some(Cut::Nothing) => Tolerance::None,
            Some(Cut::Message) => Tolerance::OneMessage,
            Some(Cut::Piece) => Tolerance::OnePiece,
            Some(Cut::Opening) => Tolerance::Any,
        };
        game.check(Some(&untouched), tolerance);
        if game.cut.is_none() && matches!(which, Which::Wait(_)) {
            break;
        }
    }
}

/// The end whose transport fails, or whose futures are dropped.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    Client,
    Server,
}

/// One run of a scenario.
pub(crate) struct Game {
    pub(crate) scenario: &'static Scenario,
    pub(crate) seen: [Seen; 2],
    pub(crate) took: Option<Duration>,
    hit: Option<Call>,
    cut: Option<Cut>,
    _case: Case,
}

async fn untouched<B: Bench>(scenario: &'static Scenario, side: Side, tls: bool) -> Game {
    let game = one::<B>(scenario, side, Troubled::default(), tls, "untouched").await;
    game.check(None, Tolerance::None);
    game
}

async fn one<B: Bench>(
    scenario: &'static Scenario,
    side: Side,
    trouble: Troubled,
    tls: bool,
    what: impl fmt::Debug,
) -> Game {
    let case = Case(format!("{}: {side:?}, {what:?}", scenario.name));
    let (other, Troubled { plan, cutter }) = (Troubled::default(), trouble.clone());
    let plans = [plan.clone(), other.plan.clone()];
    let ends = match side {
        Side::Client => [trouble, other],
        Side::Server => [other, trouble],
    };
    let bench = B::new(tls);
    let began = bench.now();
    let seen = bench.play(play(bench.clone(), scenario, ends)).await;
    assert!(
        plans.iter().all(|plan| !plan.lives()),
        "a transport was never dropped"
    );
    Game {
        scenario,
        seen,
        took: bench.now().zip(began).map(|(now, began)| now - began),
        hit: plan.hit(),
        cut: cutter.cut(),
        _case: case,
    }
}

/// Prints which game was played if a check fails.
struct Case(String);

impl Drop for Case {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("in the case {}", self.0);
        }
    }
}
