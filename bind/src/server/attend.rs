//! One connection, from the moment when it is accepted until its handler has returned.

use std::{
    future::poll_fn,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use proto::{CloseCode, Config, IntoClose, handshake::Response};

use super::{
    ServerError,
    admit::FAILED,
    connection::{Reached, connect},
    core::{Core, Refusing},
    forwarded::client_address,
    guard::{Guarded, Panicked, call},
    host::{Boxed, Host},
    listen::Door,
    permit::Permit,
    request::ClientRequest,
};
#[cfg(feature = "tls")]
use crate::transport::Transport;
use crate::{
    handshake::{Arrived, NotAccepted, accept_all},
    output::Place,
};

/// Serves a connection that was let in.
pub(super) async fn attend<H: Host>(
    core: Arc<Core<H>>,
    host: H,
    io: Reached<H>,
    door: Arc<Door>,
    permit: Arc<Permit>,
) {
    // The handshake needs much more memory than what follows, so that memory is freed before.
    let mut opening = Box::pin(open(&core, host, io, &door, &permit));
    let started = unless_aborted(&permit, opening.as_mut()).await;
    drop(opening);
    let served = match started {
        None => return,
        Some(Err(Panicked)) => Some(Err(Panicked)),
        Some(Ok(handler)) => {
            let served = async { Some(Guarded::new(handler).await) };
            unless_aborted(&permit, pin!(served)).await
        }
    };
    if served == Some(Err(Panicked)) {
        // A half that was moved to another task closes as well.
        let orders = permit.orders();
        orders.close(CloseCode::INTERNAL_ERROR.into_close());
        let (client_addr, path) = permit.client();
        core.report(&ServerError::Panicked { client_addr, path });
    }
}

/// Reads the client's request, answers it, and calls the handler. Returns what the handler has returned, or `None` if no
/// socket was opened.
async fn open<H: Host>(
    core: &Core<H>,
    host: H,
    io: Reached<H>,
    door: &Door,
    permit: &Arc<Permit>,
) -> Option<Result<Boxed<()>, Panicked>> {
    let clock = host.clock();
    let connection = connect(core, io, door, &clock).await?;
    let (peer_addr, mut client_addr) = (connection.peer_addr, connection.client_addr);
    let arrived = accept_all(connection.stream, core.config.clone()).await;
    let arrived = arrived.ok()?;
    permit.heard();
    let request = match &arrived {
        Arrived::Upgrade(incoming) => incoming.shared_request(),
        Arrived::Page(page) => page.shared_request(),
    };
    let told = client_addr.map(|it| it.ip());
    let client = client_address(request.headers(), told, &core.trusted);
    if client != told {
        client_addr = client.map(|client| SocketAddr::new(client, 0));
    }
    let id = permit.id();
    let secure = door.is_secure();
    #[cfg_attr(not(feature = "tls"), expect(unused_mut, reason = "nothing is added"))]
    let mut request = ClientRequest::new(request, id, client_addr, peer_addr, secure);
    let incoming = match arrived {
        Arrived::Upgrade(incoming) => {
            #[cfg(feature = "tls")]
            if let Some(shown) = incoming
                .get_ref()
                .tls()
                .and_then(|it| it.peer_certificates())
            {
                request.certificates = shown.to_vec();
            }
            incoming
        }
        Arrived::Page(page) => {
            Box::pin(core.show(page, request, &clock)).await;
            return None;
        }
    };
    let admitted = core.admit(&incoming, request, permit, &clock).await;
    let (handler, mut request) = match admitted {
        Ok(admitted) => admitted,
        Err(response) => {
            Box::pin(incoming.refuse(response)).await;
            return None;
        }
    };
    let subprotocol = core.subprotocols.pick(request.request.subprotocols());
    let headers = std::mem::take(&mut request.response_headers);
    match incoming.accept(subprotocol, headers).await {
        Ok(mut socket) => {
            socket.attach(permit.clone());
            let socket = host.socket(socket);
            Some(call::<H, _>(|| handler(socket, request)))
        }
        // `decide` has added a field that belongs to the handshake.
        Err(NotAccepted { incoming, .. }) => {
            Box::pin(incoming.refuse(Response::text(500, FAILED))).await;
            None
        }
    }
}

/// Answers a connection that was not let in with 503, so that its client knows when to come back.
pub(super) async fn refuse<H: Host>(
    refusing: Refusing<H>,
    host: H,
    io: Reached<H>,
    door: Arc<Door>,
) {
    /// The longest time for each step.
    const TIME: Option<Duration> = Some(Duration::from_secs(1));
    let core = refusing.core();
    let mut config = Config::clone(&core.config);
    (config.handshake_timeout, config.write_timeout) = (TIME, TIME);
    config.close_timeout = TIME;
    config.max_head_size = config.max_head_size.min(8 << 10);
    let clock = host.clock();
    if let Some(connection) = connect(core, io, &door, &clock).await {
        match accept_all(connection.stream, Arc::new(config)).await {
            Ok(Arrived::Upgrade(incoming)) => incoming.refuse(core.full()).await,
            Ok(Arrived::Page(page)) => page.respond(core.full()).await,
            Err(_) => {}
        }
    }
}

/// Waits for `step`. Returns `None` if the connection is to end.
async fn unless_aborted<T>(
    permit: &Permit,
    mut step: Pin<&mut impl Future<Output = Option<T>>>,
) -> Option<T> {
    poll_fn(|cx| {
        if permit.orders().poll_abort(cx) {
            return Poll::Ready(None);
        }
        step.as_mut().poll(cx)
    })
    .await
}
