//! The bindings as hosts of a server that echoes.

use bind::Server;

pub(crate) use bowline_tests::{Blocking, Hosting, Smol, Tokio};

/// A binding that hosts a server.
pub(crate) trait Binding: Hosting {
    const NAME: &str;
    /// How much less is asked of a binding that needs a thread for each connection.
    const DIVISOR: usize = 1;

    /// The bytes for each socket by which the queues of the runtime differ after rounds of the same size.
    const QUEUES: usize = 0;

    /// Adds a handler for `/ws` that sends each message back.
    fn echo(server: Server<Self::Host>) -> Server<Self::Host>;
}

/// Makes the handler of a binding. `$wait` is `await`, or nothing.
macro_rules! echo {
    ($server:ident, [$($mode:tt)*], [$($wait:tt)*]) => {
        $server.path("/ws", |mut socket, _| $($mode)* {
            while let Ok(Some(message)) = socket.recv()$($wait)* {
                if socket.send(message)$($wait)*.is_err() {
                    break;
                }
            }
        })
    };
}

impl Binding for Tokio {
    const NAME: &str = "tokio";

    fn echo(server: Server<Self::Host>) -> Server<Self::Host> {
        echo!(server, [async move], [.await])
    }
}

impl Binding for Smol {
    const NAME: &str = "smol";
    const QUEUES: usize = 128;

    fn echo(server: Server<Self::Host>) -> Server<Self::Host> {
        echo!(server, [async move], [.await])
    }
}

impl Binding for Blocking {
    const NAME: &str = "blocking";
    const DIVISOR: usize = 10;

    fn echo(server: Server<Self::Host>) -> Server<Self::Host> {
        echo!(server, [], [])
    }
}
