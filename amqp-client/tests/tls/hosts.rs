//! Several hosts: each server's certificate is checked against its own name.

use amqp091_client::{ConnectOptions, Connection, HostOrder, TlsOptions};
use tokio::net::TcpListener;

use crate::certificates::Authority;
use crate::peer::{Peer, TUNE, within};
use crate::server::Server;

#[tokio::test]
async fn the_name_is_that_of_the_attempt() {
    within(async {
        let authority = Authority::new("CA");
        let server = Server::new(authority.server(&["localhost"]));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let tls = TlsOptions::new().ca_pem(authority.certificate);
        let options = ConnectOptions::default()
            .hosts(["127.0.0.1", "localhost"])
            .host_order(HostOrder::Listed)
            .port(port)
            .tls(tls);
        let serve = async {
            // The certificate isn't for the address, and the client says so.
            let (socket, _) = listener.accept().await.unwrap();
            let refused = server.acceptor().accept(socket).await;
            assert!(refused.is_err());
            let (socket, _) = listener.accept().await.unwrap();
            let session = server.acceptor().accept(socket).await.unwrap();
            assert_eq!(session.get_ref().1.server_name(), Some("localhost"));
            let mut peer = Peer::new(session);
            peer.handshake(&TUNE).await;
            peer
        };
        let (connection, _peer) = tokio::join!(Connection::connect(&options), serve);
        assert_eq!(connection.unwrap().peer().unwrap().host.name(), "localhost");
    })
    .await;
}
