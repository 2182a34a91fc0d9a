//! The clients, which are a process of their own and do what the server's process tells them in lines of text.

use std::{
    io::stdin,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use socket2::SockRef;
use tokio::{runtime::Builder, task::JoinSet};

pub(crate) mod churn;
mod flood;
mod slow;
mod visit;

use slow::Slow;
use visit::{Socket, Visit, Visitors};

/// The clients of a server.
struct Clients {
    visitors: Arc<Visitors>,
    /// The sockets that are open.
    held: Vec<Socket>,
    /// The clients that wait to be let in.
    queue: JoinSet<Visit>,
    /// The connections whose request is not complete.
    slow: Slow,
}

/// Obeys the lines of the standard input, and answers each with a line of names and numbers.
pub(crate) fn run(addr: SocketAddr) {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    let mut clients = Clients {
        visitors: Arc::new(Visitors::new(addr)),
        held: Vec::new(),
        queue: JoinSet::new(),
        slow: Slow::default(),
    };
    for line in stdin().lines() {
        println!("{}", runtime.block_on(clients.obey(&line.unwrap())));
    }
}

impl Clients {
    async fn obey(&mut self, line: &str) -> String {
        let mut words = line.split(' ');
        let order = words.next().unwrap();
        let numbers: Vec<usize> = words.map(|number| number.parse().unwrap()).collect();
        match (order, numbers[..].as_ref()) {
            ("open", &[count, source]) => {
                let outcome = self.visitors.clone().come(count, source).await;
                let line = outcome.to_string();
                self.held.extend(outcome.opened);
                line
            }
            ("echo", []) => self.echo().await,
            ("close", &[count]) => self.close(count).await,
            ("leave", []) => self.leave().await,
            ("lost", []) => self.lost().await,
            ("queue", &[count]) => self.queue(count),
            ("queued", []) => self.queued(),
            ("churn", &[visits, rate]) => churn::churn(&self.visitors, visits, rate).await,
            ("flood", &[count, source]) => self.flood(count, source).await,
            ("silence", &[count, most]) => self.silence(count, most).await,
            ("slow", &[count, rate, honest]) => {
                let visitors = self.visitors.clone();
                self.slow.come(&visitors, count, rate, honest).await
            }
            ("slow_left", &[most]) => self.slow.left(most).await,
            ("slow_leave", []) => self.slow.leave(),
            _ => panic!("{line} is no order"),
        }
    }

    /// Lets all sockets echo at once.
    async fn echo(&mut self) -> String {
        let mut echoing = JoinSet::new();
        for mut socket in self.held.drain(..) {
            echoing.spawn(async move {
                let begin = Instant::now();
                visit::echo(&mut socket).await;
                (socket, begin.elapsed())
            });
        }
        let (sockets, times): (Vec<_>, Vec<Duration>) =
            echoing.join_all().await.into_iter().unzip();
        self.held = sockets;
        let worst = times.into_iter().max().unwrap_or_default();
        format!("echoed {} worst {}", self.held.len(), worst.as_micros())
    }

    async fn close(&mut self, count: usize) -> String {
        let mut closing = JoinSet::new();
        for mut socket in self.held.drain(..count) {
            closing.spawn(async move { socket.close(None).await.unwrap() });
        }
        format!("closed {}", closing.join_all().await.len())
    }

    /// Lets three quarters of the sockets leave: by a Close, a reset, and an end without a Close.
    async fn leave(&mut self) -> String {
        let mut leaving = JoinSet::new();
        let mut kept = Vec::new();
        for (number, mut socket) in self.held.drain(..).enumerate() {
            match number % 4 {
                0 => drop(leaving.spawn(async move { socket.close(None).await.unwrap() })),
                1 => {
                    let io = raw(&socket);
                    io.set_linger(Some(Duration::ZERO)).unwrap();
                }
                2 => {
                    let io = raw(&socket);
                    io.shutdown(std::net::Shutdown::Write).unwrap();
                    leaving.spawn(async move { drop(socket.recv().await.unwrap_err()) });
                }
                _ => kept.push(socket),
            }
        }
        leaving.join_all().await;
        self.held = kept;
        format!("kept {}", self.held.len())
    }

    /// Waits until the server has ended all sockets without a Close.
    async fn lost(&mut self) -> String {
        let mut losing = JoinSet::new();
        for mut socket in self.held.drain(..) {
            losing.spawn(async move { drop(socket.recv().await.unwrap_err()) });
        }
        format!("lost {}", losing.join_all().await.len())
    }

    /// Begins to open sockets, and does not wait until they are open.
    fn queue(&mut self, count: usize) -> String {
        for _ in 0..count {
            let visitors = self.visitors.clone();
            self.queue.spawn(async move { visitors.visit(1).await });
        }
        format!("queued {count}")
    }

    fn queued(&mut self) -> String {
        while let Some(visit) = self.queue.try_join_next() {
            match visit.unwrap() {
                Visit::Open(socket) => self.held.push(*socket),
                other => panic!("{other:?}"),
            }
        }
        format!("waiting {}", self.queue.len())
    }
}

fn raw(socket: &Socket) -> SockRef<'_> {
    SockRef::from(&**socket.get_ref().unwrap().get_ref().unwrap())
}
