//! Whatever goes wrong, what the client says became of a message is so. Each seed is one broker with a few
//! faults at random, one client, and the same run each time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use amqp091_broker::{Broker, Fault, Rule};
use amqp091_client::{ConnectOptions, Connection, Error, Outcome};

/// Numbers as if by chance (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// The actions that keep one frame back and let others pass.
const KEEPS_BACK: RangeInclusive<u64> = 4..=6;

/// The action that turns an octet over.
const CORRUPTS: u64 = 7;

fn place<'a>(broker: &'a Broker, random: &mut Random, action: u64) -> Fault<'a> {
    // A return that is kept back would leave its confirm to tell the opposite.
    let places = if KEEPS_BACK.contains(&action) { 6 } else { 8 };
    let place = match random.below(places) {
        // Of what the broker sends.
        place if action == CORRUPTS => match place % 4 {
            0 => broker.on("queue.declare-ok"),
            1 => broker.on("basic.ack").to_client(),
            2 => broker.on("confirm.select-ok"),
            _ => broker.on_frame(),
        },
        0 => broker.on("queue.declare"),
        1 => broker.on("queue.declare-ok"),
        2 => broker.on("basic.ack").to_client(),
        3 => broker.on("confirm.select-ok"),
        6 => broker.on_frame(),
        7 => broker.on_any_method(),
        _ => broker.on("basic.publish"),
    };
    place.nth(1 + random.below(40)).times(1 + random.below(3))
}

fn fault(broker: &Broker, random: &mut Random) -> Rule {
    let action = random.below(17);
    let place = place(broker, random, action);
    let span = Duration::from_millis(random.below(20_000));
    match action {
        0 => place.drop_before(),
        1 => place.drop_after(),
        2 => place.drop_mid_frame(),
        3 => place.drop_after_octets(random.below(100) as usize),
        4 => place.delay(span),
        5 => place.hold(),
        6 => place.discard(),
        // What is in a frame is taken for true, but not its type or end.
        CORRUPTS => place.corrupt(if random.below(2) == 0 { 0 } else { usize::MAX }),
        8 => place.close_channel(406, "by chance"),
        9 => place.close_connection(320, "by chance"),
        10 => place.stop_reading(),
        11 => place.stop_writing(),
        12 => place.go_silent(),
        13 => place.restart(),
        14 => broker.on("basic.publish").chance(0.2, random.next()).nack(),
        15 => broker.on("basic.publish").chance(0.2, random.next()).give_back(),
        _ => broker.on("basic.ack").to_client().coalesce(2 + random.below(5) as u32),
    }
    .optional()
}

/// Publishes, and says what became of each message, as far as it was published at all.
async fn publish(broker: &Broker) -> Result<Vec<(String, Outcome)>, Error> {
    let options = ConnectOptions::default()
        .heartbeat(Duration::from_secs(10))
        .rpc_timeout(Duration::from_secs(20))
        .confirm_timeout(Duration::from_secs(30));
    let connection = Connection::connect_over(broker.connect(), &options).await?;
    let channel = connection.channel().await?;
    channel.queue_declare("q").durable(true).await?;
    let mut confirms = Vec::new();
    for number in 0..40 {
        let body = number.to_string();
        let publish = channel.publish("", "q", body.clone()).persistent(true).mandatory(true);
        match publish.await {
            Ok(confirm) => confirms.push((body, confirm)),
            Err(_) => break,
        }
        if number % 10 == 9 {
            let _ = channel.queue_declare("q").durable(true).await;
        }
    }
    let mut outcomes = Vec::new();
    for (body, confirm) in confirms {
        outcomes.push((body, confirm.await));
    }
    Ok(outcomes)
}

async fn run(seed: u64) -> [usize; 4] {
    let random = &mut Random(seed);
    let broker = Broker::start().await.unwrap();
    let _rules: Vec<_> = (0..1 + random.below(3)).map(|_| fault(&broker, random)).collect();
    let mut counts = [0; 4];
    let Ok(outcomes) = publish(&broker).await else { return counts };
    let stored = broker.messages("q").unwrap_or_default();
    let bodies: HashSet<_> = stored.iter().map(|message| message.body.clone()).collect();
    assert_eq!(bodies.len(), stored.len(), "seed {seed}: a message is there twice");
    for (body, outcome) in outcomes {
        let is_stored = bodies.contains(body.as_bytes());
        let (index, expected) = match &outcome {
            Outcome::Confirmed => (0, Some(true)),
            Outcome::Nacked => (1, Some(false)),
            Outcome::Returned(returned) => {
                assert_eq!(returned.body, body, "seed {seed}");
                (2, Some(false))
            }
            Outcome::Unknown(_) => (3, None),
        };
        counts[index] += 1;
        assert!(
            expected.is_none_or(|expected| expected == is_stored),
            "seed {seed}, message {body}: {outcome:?}, stored: {is_stored}"
        );
    }
    counts
}

#[tokio::test(start_paused = true)]
async fn what_the_client_says_of_a_message_is_so() {
    let seeds = std::env::var("AMQP091_TEST_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    let mut sums = [0; 4];
    for seed in 0..seeds.unwrap_or(500) {
        // Longer than all timeouts together.
        let limit = Duration::from_secs(3600);
        let counts = tokio::time::timeout(limit, run(seed)).await;
        let counts = counts.unwrap_or_else(|_| panic!("seed {seed}: it hangs"));
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    // Everything has happened.
    assert!(sums.iter().all(|sum| *sum > 100), "{sums:?}");
}
