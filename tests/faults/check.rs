//! What has to hold whatever fails.

use std::{env, thread, time::Duration};

use bind::proto::{Initiator, Message};

use crate::{
    bench::Bench,
    plan::{Call, Fault, Plan},
    play::{Seen, play},
    scenarios::SCENARIOS,
    script::Scenario,
};

/// Runs every scenario with the first, the second and every further call of a transport failing, until
/// it has no further one.
///
/// By TLS at one end only, which changes from scenario to scenario and from fault to fault; at both with
/// `BOWLINE_FAULTS=all`.
pub(crate) fn every_call_fails<B: Bench>(fault: Fault, tls: bool) {
    let all = !tls || env::var("BOWLINE_FAULTS").is_ok_and(|which| which == "all");
    let mut games = Vec::new();
    for (number, scenario) in SCENARIOS.iter().enumerate() {
        for side in [Side::Client, Side::Server] {
            if all || (number + fault as usize + side as usize).is_multiple_of(2) {
                games.push(Box::pin(every_call_of_one::<B>(scenario, side, fault, tls)));
            }
        }
    }
    B::run(games);
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    Client,
    Server,
}

async fn every_call_of_one<B: Bench>(
    scenario: &'static Scenario,
    side: Side,
    fault: Fault,
    tls: bool,
) {
    let untouched = one::<B>(scenario, side, None, tls).await;
    untouched.check(None);
    for number in 1.. {
        let run = one::<B>(scenario, side, Some((number, fault)), tls).await;
        run.check(Some(&untouched));
        if run.hit.is_none() {
            break;
        }
    }
}

/// A scenario, played once.
struct Run {
    scenario: &'static Scenario,
    seen: [Seen; 2],
    hit: Option<Call>,
    took: Option<Duration>,
    /// Nobody was to notice the fault.
    harmless: bool,
    _case: Case,
}

async fn one<B: Bench>(
    scenario: &'static Scenario,
    side: Side,
    fault: Option<(usize, Fault)>,
    tls: bool,
) -> Run {
    let case = Case(format!("{}: {side:?}, {fault:?}", scenario.name));
    let plans = [Side::Client, Side::Server].map(|end| {
        let fault = fault.filter(|_| end == side);
        Plan::new(fault, scenario.opening)
    });
    let bench = B::new(tls);
    let began = bench.now();
    let seen = bench
        .play(play(bench.clone(), scenario, plans.clone()))
        .await;
    assert!(
        plans.iter().all(|plan| !plan.lives()),
        "a transport was left"
    );
    let plan = &plans[side as usize];
    Run {
        scenario,
        seen,
        hit: plan.hit(),
        took: bench.now().zip(began).map(|(now, began)| now - began),
        harmless: fault.is_none_or(|(_, fault)| B::HARMLESS.contains(&fault)),
        _case: case,
    }
}

impl Run {
    fn check(&self, untouched: Option<&Self>) {
        let [client, server] = &self.seen;
        let scripts = [self.scenario.client, self.scenario.server];
        let ends = [
            (client, server, scripts[1].messages()),
            (server, client, scripts[0].messages()),
        ];
        let mut whole = true;
        for (seen, peer, truth) in &ends {
            let counts = prefix(seen, truth);
            whole &= counts
                .iter()
                .zip(truth)
                .all(|(count, all)| *count == all.len());
            end_is_one(seen);
            // Who learns that the peer has closed has all that the peer was told had been sent.
            if let Some(closed) = &seen.closed
                && closed.clean
                && closed.initiator == Initiator::Peer
                && !seen.ended
                && !self.scenario.lossy
            {
                for (count, sent) in counts.iter().zip(&peer.sent) {
                    assert!(count >= sent, "{count} of {sent} came, and a clean end");
                }
            }
        }
        if let Some(took) = self.took {
            assert!(took <= Duration::from_secs(120), "it took {took:?}");
        }
        let Some(untouched) = untouched else {
            assert!(
                whole || self.scenario.lossy || !client.opened,
                "not all came"
            );
            return;
        };
        if self.harmless || self.hit.is_none() {
            for (seen, before) in self.seen.iter().zip(&untouched.seen) {
                assert_eq!(seen.opened, before.opened);
                if !self.scenario.lossy {
                    assert_eq!(seen.failed, before.failed);
                    let clean = |seen: &Seen| seen.closed.as_ref().map(|closed| closed.clean);
                    assert_eq!(clean(seen), clean(before));
                }
            }
            assert!(
                whole || self.scenario.lossy || !client.opened,
                "not all came"
            );
            if let (Some(took), Some(before)) = (self.took, untouched.took) {
                assert!(
                    took <= before + Duration::from_secs(1),
                    "{took:?}, not {before:?}"
                );
            }
        }
    }
}

/// How many messages of each writer came; they are the first ones, as they were.
fn prefix(seen: &Seen, truth: &[Vec<Message>]) -> Vec<usize> {
    let mut counts = vec![0; truth.len()];
    for message in &seen.received {
        let writer = truth
            .iter()
            .zip(&counts)
            .position(|(all, count)| all.get(*count) == Some(message));
        let Some(writer) = writer else {
            panic!("{message:?} is not what was sent next, behind {counts:?}");
        };
        counts[writer] += 1;
    }
    let begun = truth.iter().zip(&counts).any(|(all, count)| {
        let next = all
            .get(*count)
            .map_or(&[][..], |message| message.as_bytes());
        next.starts_with(&seen.part)
    });
    let left = seen.part.iter().all(|byte| *byte == b'?');
    assert!(begun || left, "the part of a message is not one");
    counts
}

/// One end, that is told once.
fn end_is_one(seen: &Seen) {
    assert!(seen.errors <= 1, "{} errors", seen.errors);
    let Some(closed) = &seen.closed else {
        return;
    };
    if closed.cause.is_none() || closed.clean {
        assert_eq!(seen.errors, 0, "{:?} and {closed}", seen.failed);
    } else if !seen.ended {
        assert_eq!(seen.errors, 1, "{:?} and {closed}", seen.failed);
    }
}

/// Says what was played when a check fails.
struct Case(String);

impl Drop for Case {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("in the case {}", self.0);
        }
    }
}
