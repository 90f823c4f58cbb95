//! A broker that speaks TLS, with a CA made for it: in this process one of the test's own; otherwise a RabbitMQ
//! that is started by the first test that asks for it, and gone with this process.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::{Arc, OnceLock};

use amqp091_broker::{Broker, CertificateLogin, Tls};
use amqp091_client::{ConnectOptions, TlsOptions};

use crate::certificates::{Authority, Issued};
use crate::operator::{ctl_in, script};
use crate::place::{Place, unique};

/// The user that the client certificate of [`Node::client`] logs in.
pub(crate) const USER: &str = "amqp091-certificate";

pub(crate) struct Node {
    pub(crate) authority: Authority,
    pub(crate) client: Issued,
    /// Where the client's files and the broker's are.
    pub(crate) folder: PathBuf,
    pub(crate) plain_port: u16,
    /// Of a listener whose certificate is for `localhost` and which asks clients for theirs.
    pub(crate) port: u16,
    /// Of one like it that insists on theirs.
    pub(crate) strict_port: u16,
    /// Of one whose certificate has expired.
    pub(crate) expired_port: u16,
    server: Server,
}

enum Server {
    Embedded {
        _broker: Broker,
    },
    /// Holds a pipe open: when this process ends, in whatever way, it stops the broker.
    RabbitMq {
        _watch: Child,
    },
}

impl Place {
    pub(crate) async fn tls_node(&self) -> Arc<Node> {
        static NODE: OnceLock<Arc<Node>> = OnceLock::new();
        static READY: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
        if self.broker.is_some() {
            return Arc::new(embedded(self).await);
        }
        let node = tokio::task::spawn_blocking(|| NODE.get_or_init(|| Arc::new(rabbitmq())));
        let node = Arc::clone(node.await.unwrap());
        READY.get_or_init(|| node.set_up()).await;
        node
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().expect("a temporary folder with a plain name").to_owned()
}

async fn embedded(place: &Place) -> Node {
    let folder = std::env::temp_dir().join(unique("tls"));
    fs::create_dir_all(&folder).unwrap();
    let authority = Authority::new("amqp091 test CA");
    let server = authority.server(&["localhost"]);
    let expired = authority.server_valid(&["localhost"], (2001, 2002));
    let client = authority.client(USER);
    write(&folder, "ca.pem", &authority.certificate);
    write(&folder, "client.pem", &client.certificate);
    write(&folder, "client.key", &client.key);
    let tls = |issued: &Issued| {
        let tls = Tls::pem(&*issued.certificate, &*issued.key);
        tls.client_ca_pem(&*authority.certificate).login(CertificateLogin::CommonName)
    };
    let builder = Broker::builder().profile(place.profile).user(USER, "unused").tls(tls(&server));
    let builder = builder.tls(tls(&server).require_client_certificate()).tls(tls(&expired));
    let broker = builder.start().await.unwrap();
    let ports: Vec<u16> = broker.tls_addresses().iter().map(|address| address.port()).collect();
    Node {
        authority,
        client,
        folder,
        plain_port: broker.addresses()[0].port(),
        port: ports[0],
        strict_port: ports[1],
        expired_port: ports[2],
        server: Server::Embedded { _broker: broker },
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if matches!(self.server, Server::Embedded { .. }) {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn rabbitmq() -> Node {
    let folder = std::env::temp_dir().join(format!("amqp091-tls-node-{}", process::id()));
    fs::create_dir_all(&folder).unwrap();
    let authority = Authority::new("amqp091 test CA");
    let server = authority.server(&["localhost"]);
    let expired = authority.server_valid(&["localhost"], (2001, 2002));
    let client = authority.client(USER);
    let ca = write(&folder, "ca.pem", &authority.certificate);
    let certificate = write(&folder, "server.pem", &server.certificate);
    let key = write(&folder, "server.key", &server.key);
    write(&folder, "expired.pem", &expired.certificate);
    write(&folder, "expired.key", &expired.key);
    write(&folder, "client.pem", &client.certificate);
    write(&folder, "client.key", &client.key);
    let port = free_port();
    let config = format!(
        "listeners.ssl.default = 127.0.0.1:{port}\n\
         ssl_options.cacertfile = {ca}\n\
         ssl_options.certfile = {certificate}\n\
         ssl_options.keyfile = {key}\n\
         ssl_options.verify = verify_peer\n\
         ssl_options.fail_if_no_peer_cert = false\n\
         ssl_cert_login_from = common_name\n\
         auth_mechanisms.1 = PLAIN\n\
         auth_mechanisms.2 = AMQPLAIN\n\
         auth_mechanisms.3 = EXTERNAL\n\
         auth_mechanisms.4 = RABBIT-CR-DEMO\n"
    );
    let config = write(&folder, "tls.conf", &config);
    let broker = folder.join("broker");
    // Before the broker, so that none is left behind. In a session of its own: what ends these tests
    // by their process group isn't to end what cleans up behind them.
    let watch = Command::new("setsid")
        .args(["sh", "-c", "cat; \"$1\" stop --dir \"$2\"; rm -rf \"$3\"", "watch", &script()])
        .args([&broker, &folder])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = Command::new(script())
        .args(["start", "--plugins", "rabbitmq_auth_mechanism_ssl", "--config", &config, "--dir"])
        .arg(&broker)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "no broker: {errors}");
    let url = String::from_utf8(output.stdout).unwrap();
    let (_, port_and_path) = url.rsplit_once(':').unwrap();
    let plain_port = port_and_path.split('/').next().unwrap().parse().unwrap();
    Node {
        authority,
        client,
        folder,
        plain_port,
        port,
        strict_port: free_port(),
        expired_port: free_port(),
        server: Server::RabbitMq { _watch: watch },
    }
}

impl Node {
    /// The user, and the listeners that a configuration file has no place for.
    async fn set_up(&self) {
        self.ctl(&["add_user", USER, "unused"]).await;
        self.ctl(&["set_permissions", USER, ".*", ".*", ".*"]).await;
        for (port, name, strict) in
            [(self.strict_port, "server", true), (self.expired_port, "expired", false)]
        {
            let (ca, certificate, key) = (
                self.file("ca.pem"),
                self.file(&format!("{name}.pem")),
                self.file(&format!("{name}.key")),
            );
            let start = format!(
                "ok = rabbit_networking:start_ssl_listener({{\"127.0.0.1\", {port}}}, \
                 [{{cacertfile, \"{ca}\"}}, {{certfile, \"{certificate}\"}}, {{keyfile, \"{key}\"}}, \
                 {{verify, verify_peer}}, {{fail_if_no_peer_cert, {strict}}}], 1)."
            );
            self.ctl(&["eval", &start]).await;
        }
    }

    pub(crate) async fn ctl(&self, arguments: &[&str]) {
        ctl_in(Some(self.folder.join("broker").to_str().unwrap()), arguments).await;
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn trusting(&self) -> TlsOptions {
        TlsOptions::new().ca_pem(self.authority.certificate.clone())
    }

    /// Trusting its CA, and showing the certificate of [`USER`].
    pub(crate) fn showing(&self) -> TlsOptions {
        let Issued { certificate, key } = self.client.clone();
        self.trusting().client_certificate_pem(certificate, key)
    }

    pub(crate) fn options(&self, tls: TlsOptions) -> ConnectOptions {
        ConnectOptions::default().host("localhost").port(self.port).tls(tls)
    }
}
