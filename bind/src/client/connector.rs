use std::{any::Any, fmt, path::PathBuf, sync::Arc, time::Duration};

use crate::runtime::Reaching;

/// A way of reaching a server that the caller provides. The function `connector` of a binding makes it.
#[derive(Clone)]
pub struct Connector(Arc<dyn Any + Send + Sync>);

/// The function of a connector. It is given a host, a port, and the time that remains until the deadline.
type Reach<T> = Box<dyn Fn(String, u16, Option<Duration>) -> Reaching<T> + Send + Sync>;

impl Connector {
    /// Makes a connector for the bindings whose [`Network::Other`](crate::Network::Other) is `T`. `reach` is given a host,
    /// a port, and the time that remains until the deadline.
    pub fn new<T: 'static>(
        reach: impl Fn(String, u16, Option<Duration>) -> Reaching<T> + Send + Sync + 'static,
    ) -> Self {
        let reach: Reach<T> = Box::new(reach);
        Self(Arc::new(reach))
    }

    /// Returns the function, unless it is for another binding.
    pub(super) fn get<T: 'static>(&self) -> Option<&Reach<T>> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

/// The way by which the server, or its proxy, is reached.
#[derive(Clone, Default)]
pub(super) enum Way {
    #[default]
    Tcp,
    /// A Unix socket of the server.
    Unix(PathBuf),
    Connector(Connector),
}
