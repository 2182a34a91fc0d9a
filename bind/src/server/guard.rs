//! Calls of the application's functions, whose panics end one connection and nothing else.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use super::host::{Boxed, Host};

/// The application has panicked.
#[derive(Debug, PartialEq)]
pub(super) struct Panicked;

/// Calls a function of the application.
pub(super) fn call<H: Host, T>(f: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(|| H::call(f))).map_err(|_| Panicked)
}

/// A future of the application.
pub(super) struct Guarded<T>(Option<Boxed<T>>);

impl<T> Guarded<T> {
    pub(super) const fn new(future: Boxed<T>) -> Self {
        Self(Some(future))
    }
}

impl<T> Future for Guarded<T> {
    type Output = Result<T, Panicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = &mut self.0 else {
            return Poll::Pending;
        };
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(polled) => polled.map(Ok),
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    }
}

/// A value of the application may panic when it is dropped, too.
impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        let future = self.0.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
    }
}
