//! TLS, logins by certificate, and further SASL mechanisms, against brokers with a CA made for them.

use amqp091_client::{
    ConnectError, ConnectOptions, Connection, Error, Login, Mechanism, Properties, Sasl, SaslError,
    SaslExchange, ShortStr, Stage, TlsError, TlsOptions,
};

use crate::certificates::Authority;
use crate::place::{Place, queue};
use crate::tls_node::USER;

async fn refusal(options: &ConnectOptions) -> ConnectError {
    match Connection::connect(options).await.expect_err("nobody should be connected") {
        Error::Connect(error) => error,
        other => panic!("expected an error of connecting: {other}"),
    }
}

async fn tls_refusal(options: &ConnectOptions) -> TlsError {
    match refusal(options).await {
        ConnectError::Tls { source, .. } => source,
        other => panic!("expected an error of TLS: {other}"),
    }
}

/// Logged in as this user: the broker takes no message in another's name.
async fn check(options: &ConnectOptions, user: &str) {
    let connection = Connection::connect(options).await.unwrap();
    let channel = connection.channel().await.unwrap();
    let queue = queue(&channel).await;
    for (name, is_taken) in [(user, true), ("somebody else", false)] {
        let properties =
            Properties { user_id: Some(ShortStr::new(name).unwrap()), ..Properties::default() };
        let confirm = channel.publish("", &queue, "m").properties(&properties).await.unwrap();
        assert_eq!(confirm.confirmed().await.is_ok(), is_taken, "{name}");
    }
    connection.close().await.unwrap();
}

everywhere!(a_good_chain);
async fn a_good_chain(place: &Place) {
    let node = place.tls_node().await;
    check(&node.options(node.trusting()), "guest").await;
    let uri = format!(
        "amqps://guest:guest@localhost:{}/%2f?cacertfile={}&verify=verify_peer",
        node.port,
        node.file("ca.pem")
    );
    check(&ConnectOptions::from_uri(&uri).unwrap(), "guest").await;
}

everywhere!(large_messages_through_tls);
async fn large_messages_through_tls(place: &Place) {
    let node = place.tls_node().await;
    let connection = Connection::connect(&node.options(node.trusting())).await.unwrap();
    let channel = connection.channel().await.unwrap();
    let queue = queue(&channel).await;
    let body: Vec<u8> = (0..5_000_000_u32).map(|at| (at % 251) as u8).collect();
    let mut consumer = channel.consume(&queue).prefetch(3).await.unwrap();
    for _ in 0..3 {
        let confirm = channel.publish("", &queue, body.clone()).await.unwrap();
        confirm.confirmed().await.unwrap();
    }
    for _ in 0..3 {
        let delivery = consumer.next().await.unwrap().unwrap();
        assert!(delivery.body == body);
        delivery.ack().unwrap();
    }
    connection.close().await.unwrap();
}

everywhere!(a_wrong_host);
async fn a_wrong_host(place: &Place) {
    let node = place.tls_node().await;
    let options = node.options(node.trusting()).host("127.0.0.1");
    let error = tls_refusal(&options).await;
    let TlsError::WrongName { expected, presented } = &error else { panic!("{error}") };
    assert_eq!(expected, "127.0.0.1");
    assert!(presented.concat().contains("localhost"), "{presented:?}");
    // It is the right one for who says so.
    check(&options.tls(node.trusting().server_name("localhost")), "guest").await;
}

everywhere!(an_expired_certificate);
async fn an_expired_certificate(place: &Place) {
    let node = place.tls_node().await;
    let options = node.options(node.trusting()).port(node.expired_port);
    let error = tls_refusal(&options).await;
    assert!(matches!(error, TlsError::Expired { ago: Some(_) }), "{error}");
    // The listener is well but for that.
    check(&options.tls(TlsOptions::new().danger_accept_invalid_certificates()), "guest").await;
}

everywhere!(an_unknown_ca);
async fn an_unknown_ca(place: &Place) {
    let node = place.tls_node().await;
    let other = TlsOptions::new().ca_pem(Authority::new("other CA").certificate);
    let error = tls_refusal(&node.options(other.clone())).await;
    assert!(matches!(error, TlsError::UnknownCa), "{error}");
    let error = tls_refusal(&node.options(TlsOptions::new())).await;
    assert!(matches!(error, TlsError::UnknownCa | TlsError::NoSystemCa { .. }), "{error}");
    check(&node.options(other.danger_accept_invalid_certificates()), "guest").await;
}

everywhere!(tls_and_plain_ports_mistaken_for_each_other);
async fn tls_and_plain_ports_mistaken_for_each_other(place: &Place) {
    let node = place.tls_node().await;
    let error = tls_refusal(&node.options(node.trusting()).port(node.plain_port)).await;
    assert!(matches!(error, TlsError::NotTls | TlsError::Eof), "{error}");
    let error = refusal(&node.options(node.trusting()).tls(None)).await;
    assert!(matches!(error, ConnectError::TlsPort), "{error}");
}

everywhere!(a_certificate_is_a_login);
async fn a_certificate_is_a_login(place: &Place) {
    let node = place.tls_node().await;
    let options = node.options(node.showing()).mechanisms([Mechanism::External]);
    check(&options, USER).await;
    let uri = format!(
        "amqps://localhost:{}?auth_mechanism=external&cacertfile={}&certfile={}&keyfile={}",
        node.port,
        node.file("ca.pem"),
        node.file("client.pem"),
        node.file("client.key"),
    );
    check(&ConnectOptions::from_uri(&uri).unwrap(), USER).await;
    // A certificate alone is none: it is asked for by the mechanism.
    check(&node.options(node.showing()), "guest").await;
}

everywhere!(a_certificate_for_nobody_whom_the_broker_knows);
async fn a_certificate_for_nobody_whom_the_broker_knows(place: &Place) {
    let node = place.tls_node().await;
    let stranger = node.authority.client("amqp091-stranger");
    let tls = node.trusting().client_certificate_pem(stranger.certificate, stranger.key);
    let error = refusal(&node.options(tls).mechanisms([Mechanism::External])).await;
    let ConnectError::Refused { stage: Stage::Tune, close } = &error else { panic!("{error}") };
    assert_eq!(close.code.0, 403);
}

everywhere!(a_login_by_certificate_without_one);
async fn a_login_by_certificate_without_one(place: &Place) {
    let node = place.tls_node().await;
    let error = refusal(&node.options(node.trusting()).mechanisms([Mechanism::External])).await;
    let ConnectError::Refused { stage: Stage::Tune, close } = &error else { panic!("{error}") };
    assert_eq!(close.code.0, 403);
}

everywhere!(a_mechanism_that_the_broker_lacks_is_told_with_those_that_it_has);
async fn a_mechanism_that_the_broker_lacks_is_told_with_those_that_it_has(place: &Place) {
    let node = place.tls_node().await;
    // What there is beside these differs.
    let usual = ["AMQPLAIN", "PLAIN"];
    let over_tls = node.options(node.trusting());
    let without = ConnectOptions::default().host("127.0.0.1").port(node.plain_port);
    for (options, wanted, by_certificate) in [
        (over_tls.mechanisms([Mechanism::raw("NO-SUCH", "")]), "NO-SUCH", true),
        (without.mechanisms([Mechanism::External]), "EXTERNAL", false),
    ] {
        let error = refusal(&options).await;
        let ConnectError::Mechanism { offered, wanted: told } = &error else { panic!("{error}") };
        assert_eq!(told, wanted);
        let offered: Vec<_> = offered.split(' ').collect();
        assert!(usual.iter().all(|mechanism| offered.contains(mechanism)), "{offered:?}");
        // By certificate it lets in nobody who can't have shown one.
        assert_eq!(offered.contains(&"EXTERNAL"), by_certificate, "{offered:?}");
    }
}

everywhere!(a_listener_that_insists_on_a_certificate);
async fn a_listener_that_insists_on_a_certificate(place: &Place) {
    let node = place.tls_node().await;
    let options = |tls| node.options(tls).port(node.strict_port);
    check(&options(node.showing()).mechanisms([Mechanism::External]), USER).await;
    // The alert may be lost when the broker closes the socket at once.
    let error = tls_refusal(&options(node.trusting())).await;
    let text = error.to_string();
    assert!(text.contains("client certificate"), "{text}");
    let stranger = Authority::new("other CA").client(USER);
    let tls = node.trusting().client_certificate_pem(stranger.certificate, stranger.key);
    let error = tls_refusal(&options(tls)).await;
    match &error {
        TlsError::Alert { alert } => assert_eq!(alert, "UnknownCA"),
        other => assert!(matches!(other, TlsError::ClosedBehind), "{other}"),
    }
}

/// What RabbitMQ brings along as an example of a mechanism with a challenge.
#[derive(Debug)]
struct ChallengeDemo;

impl Sasl for ChallengeDemo {
    fn name(&self) -> &str {
        "RABBIT-CR-DEMO"
    }

    fn begin(&self, login: &Login<'_>) -> Box<dyn SaslExchange> {
        let (user, password) = (login.user.to_owned(), login.password.to_owned());
        Box::new(move |challenge: Option<&[u8]>| -> Result<Vec<u8>, SaslError> {
            match challenge {
                None => Ok(user.clone().into_bytes()),
                Some(b"Please tell me your password") => {
                    Ok(format!("My password is {password}").into_bytes())
                }
                Some(other) => Err(format!("asked for \"{}\"", other.escape_ascii()).into()),
            }
        })
    }
}

rabbitmq_alone!(a_mechanism_with_a_challenge);
async fn a_mechanism_with_a_challenge(place: &Place) {
    let node = place.tls_node().await;
    let options = ConnectOptions::default().host("127.0.0.1").port(node.plain_port);
    let options = options.mechanisms([Mechanism::custom(ChallengeDemo)]);
    check(&options, "guest").await;
    let error = refusal(&options.credentials("guest", "s3cret")).await;
    let ConnectError::Refused { stage: Stage::Tune, close } = &error else { panic!("{error}") };
    assert_eq!(close.code.0, 403);
}
