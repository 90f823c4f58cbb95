//! What is wrong before anything is sent: files, PEM, keys; and the system's CAs.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use amqp091_client::rustls::crypto::ring;
use amqp091_client::rustls::{ClientConfig, RootCertStore};
use amqp091_client::{Connection, Error, Initiator, TlsError, TlsOptions};
use tokio::io::AsyncReadExt;

use crate::certificates::Authority;
use crate::peer::within;
use crate::server::{Server, tls_error, with};

/// A folder of one test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("amqp091-tls-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An error for which nothing was sent.
async fn unsent(tls: TlsOptions) -> TlsError {
    within(async {
        let (client, mut server) = tokio::io::duplex(1024);
        let error = Connection::connect_over(client, &with(tls)).await.unwrap_err();
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0, "{error}");
        assert_eq!(error.initiator(), Initiator::User);
        tls_error(Err(error))
    })
    .await
}

#[tokio::test]
async fn files_are_read_for_every_connection() {
    let folder = Folder::new("files");
    let authority = Authority::new("CA");
    let server = Server {
        clients: Some(authority.certificate.clone()),
        ..Server::new(authority.server(&["broker.test"]))
    };
    let client = authority.client("me");
    let (ca, certificate) = (folder.file("ca", ""), folder.file("client", &client.certificate));
    // A file may hold more than what is looked for.
    let both = folder.file("both", &format!("{}\n{}", client.key, client.certificate));
    let tls = TlsOptions::new().ca_file(&ca).client_certificate_files(&certificate, &both);
    let error = unsent(tls.clone()).await;
    assert!(matches!(&error, TlsError::Pem { path: Some(path), .. } if *path == ca), "{error}");
    folder.file("ca", &authority.certificate);
    server.connect(&with(tls.clone())).await;
    server.connect(&with(tls.clone().client_certificate_files(&both, &both))).await;
    std::fs::remove_file(&ca).unwrap();
    let error = unsent(tls).await;
    assert!(matches!(&error, TlsError::File { path, .. } if *path == ca), "{error}");
    assert!(error.to_string().starts_with("CA certificates: can't read "), "{error}");
}

#[tokio::test]
async fn texts_that_do_not_hold_what_they_should() {
    let authority = Authority::new("CA");
    let (client, other) = (authority.client("me"), authority.client("me"));
    let tls = || TlsOptions::new().ca_pem(authority.certificate.clone());
    let identity = |key: String| tls().client_certificate_pem(client.certificate.clone(), key);
    let encrypted = client.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let cut = client.key[..client.key.len() - 30].to_owned();
    let mut wrong = client.key.clone();
    wrong.replace_range(40..41, "!");
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (tls, expected) in [
        (TlsOptions::new().ca_pem("no PEM"), "CA certificates: there is no certificate in PEM"),
        (TlsOptions::new().ca_pem(client.key.clone()), "CA certificates: there is no certificate"),
        (TlsOptions::new().ca_pem(broken), "CA certificates: "),
        (identity(client.certificate.clone()), "the client certificate's key: there is no private"),
        (identity(encrypted), "the client certificate's key: it is encrypted"),
        (identity(cut), "the client certificate's key: a section has no end"),
        (identity(wrong), "the client certificate's key: a section isn't base64"),
        (identity(other.key.clone()), "client certificate and key can't be used: the key belongs"),
        (tls().client_certificate_pem("", client.key.clone()), "client certificate: there is no"),
        (tls().server_name("not a name"), "\"not a name\" is neither a host name nor an address"),
        (tls().server_name(""), "\"\" is neither a host name nor an address"),
    ] {
        let error = unsent(tls).await;
        let text = error.to_string();
        assert!(text.starts_with(expected), "{text}");
        let shown = format!("{text} {error:?}");
        for line in client.key.lines().filter(|line| !line.starts_with('-')) {
            assert!(!shown.contains(line), "the key is shown: {shown}");
        }
    }
}

#[tokio::test]
async fn a_configuration_of_the_programs_own() {
    let authority = Authority::new("CA");
    let server = Server::new(authority.server(&["broker.test"]));
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    // It trusts nobody, whatever the options say.
    let tls = TlsOptions::new().ca_pem(authority.certificate).rustls_config(Arc::new(config));
    assert!(matches!(server.refused(&with(tls)).await, TlsError::UnknownCa));
}

const ROLE: &str = "AMQP091_TEST_SYSTEM_CA";

/// Where the system's CAs are is told by the environment, so by that of a process of its own: this
/// test's, run again.
#[tokio::test]
async fn the_systems_cas() {
    let tls = TlsOptions::new();
    if let Ok(role) = std::env::var(ROLE) {
        let server = |pem: &str| {
            let (certificate, key) = pem.split_once("KEY").unwrap();
            let (certificate, key) = (certificate.to_owned(), key.to_owned());
            Server::new(crate::certificates::Issued { certificate, key })
        };
        let text = std::fs::read_to_string(std::env::var("AMQP091_TEST_SERVER").unwrap()).unwrap();
        let server = server(&text);
        let other = Authority::new("other CA").certificate;
        match &*role {
            "there" => {
                server.connect(&with(tls.clone())).await;
                server.connect(&with(tls.clone().ca_pem(other.clone()).system_ca_too())).await;
                // A CA that is given takes their place.
                let error = server.refused(&with(tls.ca_pem(other))).await;
                assert!(matches!(error, TlsError::UnknownCa), "{error}");
            }
            _ => {
                let error = unsent(tls).await;
                assert!(matches!(error, TlsError::NoSystemCa { .. }), "{error}");
                assert!(error.to_string().contains("ca-certificates"), "{error}");
            }
        }
        return;
    }
    let folder = Folder::new("system");
    let authority = Authority::new("CA");
    let issued = authority.server(&["broker.test"]);
    let server = folder.file("server", &format!("{}KEY{}", issued.certificate, issued.key));
    let there = folder.file("ca.pem", &authority.certificate);
    for (role, file) in [("there", there), ("missing", folder.0.join("none"))] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "local::the_systems_cas", "--nocapture"])
            .env(ROLE, role)
            .env("AMQP091_TEST_SERVER", &server)
            .env("SSL_CERT_FILE", file)
            .env_remove("SSL_CERT_DIR");
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && told.contains("1 passed"), "{role}: {told} {errors}");
    }
}

#[tokio::test]
async fn errors_of_tls_are_errors_of_connecting() {
    let error: Error = Connection::connect_over(
        tokio::io::duplex(64).0,
        &with(TlsOptions::new().ca_file("/no/such/file")),
    )
    .await
    .unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("no TLS with broker.test:5671: CA certificates: can't read"),
        "{text}"
    );
}
