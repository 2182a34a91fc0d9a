//! Connections whose requests never become complete.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    net::TcpStream,
    time::{interval, sleep},
};

use super::{
    churn::spread,
    visit::{Visit, Visitors, echo},
};

/// Connections whose requests never become complete, in the order in which they were made. Those that the server has
/// closed are absent.
#[derive(Default)]
pub(super) struct Slow(Vec<Option<TcpStream>>);

impl Slow {
    pub(super) fn add(&mut self, stream: TcpStream) {
        self.0.push(Some(stream));
    }

    /// Makes so many connections, and so many of them each second, while an honest client connects now and then.
    pub(super) async fn come(
        &mut self,
        visitors: &Arc<Visitors>,
        count: usize,
        rate: usize,
        honest: usize,
    ) -> String {
        let pause = Duration::from_secs(1) * u32::try_from(count / rate).unwrap();
        let visiting = visit(visitors.clone(), honest, pause);
        let visiting = tokio::spawn(visiting);
        const STEPS: usize = 10;
        let mut pace = interval(Duration::from_secs(1) / u32::try_from(STEPS).unwrap());
        while self.0.len() < count {
            pace.tick().await;
            for _ in 0..(rate.div_ceil(STEPS)).min(count - self.0.len()) {
                let stream = visitors.reach(0).await.unwrap();
                stream.try_write(b"GET /ws HTTP/1.1\r\nX: ").unwrap();
                self.add(stream);
            }
            // Every one sends a byte now and then.
            self.0.iter().flatten().for_each(|stream| {
                let _ = stream.try_write(b"a");
            });
            self.forget_closed();
        }
        visiting.await.unwrap()
    }

    /// Waits until at most `most` connections are left. Says how many there are, and which is the first of them.
    pub(super) async fn left(&mut self, most: usize) -> String {
        let begin = Instant::now();
        loop {
            self.forget_closed();
            let open = self.0.iter().flatten().count();
            if open <= most || begin.elapsed() > Duration::from_secs(60) {
                let first = self.0.iter().position(Option::is_some);
                return format!("open {open} first {}", first.unwrap_or(self.0.len()));
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    pub(super) fn leave(&mut self) -> String {
        let left = self.0.drain(..).flatten().count();
        format!("left {left}")
    }

    fn forget_closed(&mut self) {
        let is_open = |stream: &mut TcpStream| {
            let read = stream.try_read(&mut [0]);
            read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
        };
        for place in &mut self.0 {
            place.take_if(|stream| !is_open(stream));
        }
    }
}

/// Visits the server so often within `time`. A visit that is refused is made again, and its time counts from the first.
async fn visit(visitors: Arc<Visitors>, count: usize, time: Duration) -> String {
    let mut pace = interval(time / u32::try_from(count).unwrap());
    let (mut times, mut retries) = (Vec::new(), 0);
    while times.len() < count {
        pace.tick().await;
        let begin = Instant::now();
        let mut socket = loop {
            match visitors.visit(0).await {
                Visit::Open(socket) => break socket,
                _ => retries += 1,
            }
        };
        echo(&mut socket).await;
        times.push(begin.elapsed());
        socket.close(None).await.unwrap();
    }
    format!("honest {count} retries {retries} {}", spread(times))
}
