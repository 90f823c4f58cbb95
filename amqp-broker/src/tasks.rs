//! The broker's tasks: one for each port, one for those who come in memory, one for the time.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::door::Door;
use crate::driver::Driver;
use crate::shared::Shared;
#[cfg(feature = "tls")]
use crate::tls::Acceptor;
use crate::transport::MemoryStream;

/// How long nobody is let in after the operating system had no socket to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// How clients of a port are served.
pub(crate) struct Clients {
    pub(crate) shared: Arc<Shared>,
    pub(crate) node: u16,
    pub(crate) kind: Kind,
}

/// What they speak there.
pub(crate) enum Kind {
    Plain,
    #[cfg(feature = "tls")]
    Tls(Acceptor),
}

impl Clients {
    /// Serves one, by a task of its own.
    fn serve(&self, tasks: &mut JoinSet<()>, socket: TcpStream, peer: String) {
        let _ = socket.set_nodelay(true);
        let shared = Arc::clone(&self.shared);
        let key = shared.with(|core, now| core.connect(peer, self.node, now));
        match &self.kind {
            Kind::Plain => tasks.spawn(Driver::new(shared, key, socket)),
            #[cfg(feature = "tls")]
            Kind::Tls(acceptor) => tasks.spawn(Driver::new(shared, key, acceptor.accept(socket))),
        };
    }
}

/// Takes in clients, each with a task of its own, which end with this one.
pub(crate) async fn listen(by: Clients, door: Arc<Door>, index: usize) {
    let mut clients = JoinSet::new();
    let mut questions = by.shared.questions();
    // One may have been asked before.
    questions.mark_changed();
    loop {
        let accepted = {
            let mut asked = pin!(questions.changed());
            poll_fn(|cx| {
                // Those who are gone are let go of meanwhile.
                while let Poll::Ready(Some(_)) = clients.poll_join_next(cx) {}
                if let Poll::Ready(accepted) = door.poll_accept(cx) {
                    return Poll::Ready(Some(accepted));
                }
                asked.as_mut().poll(cx).map(|_| None)
            })
            .await
        };
        match accepted {
            Some(Ok((socket, peer))) => by.serve(&mut clients, socket, peer),
            Some(Err(_)) => {
                // Out of file descriptors, perhaps: the clients that are there may go on meanwhile.
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            None => {
                let question = *questions.borrow_and_update();
                // Those of whom the runtime has yet to hear.
                while let Some((socket, peer)) = door.accept_now() {
                    by.serve(&mut clients, socket, peer);
                }
                by.shared.with(|core, _| core.report_listener(index, question));
            }
        }
    }
}

/// Serves those who come in memory, each by a task of its own, which end with this one.
pub(crate) async fn serve_in_memory(mut coming: UnboundedReceiver<Driver<MemoryStream>>) {
    let mut clients = JoinSet::new();
    while let Some(driver) = poll_fn(|cx| {
        // Those who are gone are let go of meanwhile.
        while let Poll::Ready(Some(_)) = clients.poll_join_next(cx) {}
        coming.poll_recv(cx)
    })
    .await
    {
        clients.spawn(driver);
    }
}

/// Does what is due when it is.
pub(crate) async fn keep_time(shared: Arc<Shared>) {
    loop {
        let sooner = shared.sooner.notified();
        match shared.tick() {
            // Others have their turn meanwhile.
            Some(next) if next <= Instant::now() => tokio::task::yield_now().await,
            Some(next) => {
                let _ = tokio::time::timeout_at(next, sooner).await;
            }
            None => sooner.await,
        }
    }
}
