//! Clients that want to get in, while those inside go on echoing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::{
    Clients,
    visit::{Socket, echo},
};

/// Sockets that echo all the time.
struct Hum {
    done: Arc<AtomicBool>,
    echoing: JoinSet<(Socket, usize, Duration)>,
}

impl Hum {
    fn start(sockets: Vec<Socket>) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let mut echoing = JoinSet::new();
        for mut socket in sockets {
            let done = done.clone();
            echoing.spawn(async move {
                let (mut echoes, mut worst) = (0, Duration::ZERO);
                loop {
                    let begin = Instant::now();
                    echo(&mut socket).await;
                    echoes += 1;
                    worst = worst.max(begin.elapsed());
                    if done.load(Ordering::Relaxed) {
                        return (socket, echoes, worst);
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            });
        }
        Self { done, echoing }
    }

    /// Returns the sockets, of which each has echoed at least once, and says how often and for how long at most.
    async fn stop(self) -> (Vec<Socket>, String) {
        self.done.store(true, Ordering::Relaxed);
        let hummed = self.echoing.join_all().await;
        let echoes: usize = hummed.iter().map(|(_, echoes, _)| echoes).sum();
        let worst = hummed.iter().map(|(_, _, worst)| *worst).max();
        let line = format!("echoes {echoes} worst {}", worst.unwrap().as_micros());
        (
            hummed.into_iter().map(|(socket, ..)| socket).collect(),
            line,
        )
    }
}

impl Clients {
    /// Lets clients come who are not let in.
    pub(super) async fn flood(&mut self, count: usize, source: usize) -> String {
        let hum = Hum::start(std::mem::take(&mut self.held));
        let outcome = self.visitors.clone().come(count, source).await;
        let (held, hummed) = hum.stop().await;
        self.held = held;
        format!("{outcome} {hummed}")
    }

    /// Makes connections that send nothing, and waits until at most `most` of them are left.
    pub(super) async fn silence(&mut self, count: usize, most: usize) -> String {
        let hum = Hum::start(std::mem::take(&mut self.held));
        for _ in 0..count {
            self.slow.add(self.visitors.reach(0).await.unwrap());
        }
        let left = self.slow.left(most).await;
        let (held, hummed) = hum.stop().await;
        self.held = held;
        format!("{left} {hummed}")
    }
}
