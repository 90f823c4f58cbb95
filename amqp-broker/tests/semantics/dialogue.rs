//! Dialogues: what clients say on a few channels, and what they hear, as text.
//!
//! A line that isn't indented is said: a channel (0 and 1 are on one connection, 2 and 3 on another, whose
//! client has no capabilities), a command, what it is about. The indented lines behind it are what is
//! heard: `0: t0 m2 again` is the second message that was published, delivered on channel 0 to its consumer `t0`
//! once more. Plain agreement is left out. `look` tells what queues have, and for how many consumers. A
//! message that died tells why, how often and where, the last time first. A
//! line that is only so in one profile begins with its version, `3:` or `4:`.

use std::env;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use amqp091::types::Value;
use amqp091_broker::{Broker, Profile};

use crate::program::{Action, Arguments, Flags, Which, With};
use crate::side::{Side, Told};

/// How long what is expected has to come; nothing waits that long where it does.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs a dialogue on the RabbitMQ that other tests use meanwhile.
pub(crate) fn rabbitmq(script: &'static str) {
    let url = env::var("AMQP091_TEST_URL").expect("AMQP091_TEST_URL is RabbitMQ's");
    run(script, &url, Profile::V3_10);
}

/// Runs a dialogue on brokers in this process.
pub(crate) fn embedded(script: &'static str) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for profile in [Profile::V3_10, Profile::V4] {
        let broker = runtime.block_on(Broker::builder().profile(profile).start()).unwrap();
        run(script, &broker.url(), profile);
    }
}

fn run(script: &'static str, url: &str, profile: Profile) {
    println!("at {url} as {profile:?}");
    let address = url.rsplit('@').next().unwrap().trim_start_matches("amqp://");
    let address = address.split('/').next().unwrap();
    let mut side = Side::new(address, &prefix());
    let mut lines = script.lines().filter(|line| !line.trim().is_empty()).peekable();
    let mut published = 0;
    while let Some(said) = lines.next() {
        let mut expected = Vec::new();
        while let Some(line) = lines.next_if(|line| line.starts_with(' ')) {
            let line = line.trim();
            let (version, text) = line.split_at_checked(2).unwrap();
            match (version, profile) {
                ("3:", Profile::V3_10) | ("4:", Profile::V4) => expected.push(text.trim()),
                ("3:" | "4:", _) => {}
                _ => expected.push(line),
            }
        }
        step(&mut side, said, &expected, &mut published);
    }
    side.clean_up(&["x0", "x1", "x2"]);
}

/// As short as may be: texts are cut where they are too long.
fn prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
    format!("d{now:x}{:x}-", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn step(side: &mut Side, said: &'static str, expected: &[&str], published: &mut usize) {
    let mut words = said.split_whitespace();
    let channel: usize = words.next().unwrap().parse().unwrap();
    let command = words.next().unwrap();
    let words: Vec<_> = words.collect();
    let began = Instant::now();
    let mut heard = Vec::new();
    if command == "look" {
        while heard != expected {
            assert!(began.elapsed() < PATIENCE, "{said}: {heard:#?}, expected {expected:#?}");
            side.look();
            heard = side.looked().to_vec();
        }
        return side.forget_missing();
    }
    side.open(channel);
    let (action, tag) = parse(command, &words);
    *published += usize::from(matches!(action, Action::Publish { .. }));
    side.act(channel, *published, &action, tag);
    loop {
        if side.poll() {
            continue;
        }
        if side.is_answered() {
            heard = side.told().enumerate().flat_map(|(at, told)| lines(at, told)).collect();
            if heard == expected {
                return side.next_step();
            }
            // What died may still be on its way.
            if command == "get" && heard == [format!("{channel}: empty")] {
                side.next_step();
                side.act(channel, *published, &action, tag);
            }
        }
        assert!(began.elapsed() < PATIENCE, "{said}: {heard:#?}, expected {expected:#?}");
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// What was heard on a channel, in brief.
fn lines(channel: usize, told: &Told) -> Vec<String> {
    let number =
        |text: &str| text.trim_end_matches([' ', '}', ')']).rsplit(' ').next().unwrap().to_owned();
    let mut lines = Vec::new();
    for reply in &told.replies {
        if reply.starts_with("BasicGetEmpty") {
            lines.push("empty".to_owned());
        } else if reply.starts_with("QueueDeleteOk") {
            lines.push(format!("deleted {}", number(reply)));
        } else if reply.starts_with("QueuePurgeOk") {
            lines.push(format!("purged {}", number(reply)));
        } else if let Some((head, message)) = reply.split_once(" more: ") {
            let left = head.rsplit(' ').next().unwrap();
            lines.push(format!("got {}, {left} more", in_brief(head, message)));
        }
    }
    lines.extend(told.returns.iter().map(|text| {
        let (head, message) = text.split_once("): ").unwrap();
        format!("returned {}", in_brief(head, message))
    }));
    for delivery in told.deliveries.values().flatten() {
        let (head, message) = delivery.split_once(": ").unwrap();
        let tag = head.split(' ').next().unwrap();
        lines.push(format!("{tag} {}", in_brief(head, message)));
    }
    lines.extend(
        told.cancels.iter().map(|text| format!("cancelled {}", text.split('"').nth(1).unwrap())),
    );
    lines.extend(told.confirmed.iter().map(|(tag, is_taken)| {
        format!("{} {tag}", if *is_taken { "confirmed" } else { "refused" })
    }));
    for close in &told.closes {
        let close = close.trim_start_matches("channel closed: ");
        let end = close.rfind(" by ").unwrap_or(close.len());
        lines.push(close[..end].to_owned());
    }
    lines.into_iter().map(|line| format!("{channel}: {line}")).collect()
}

fn in_brief(head: &str, message: &str) -> String {
    let body = message.split(' ').next().unwrap().trim_end_matches('.');
    let again = if head.contains("redelivered true") { " again" } else { "" };
    format!("{body}{again}{}", deaths(message))
}

/// Where a message died, why and how often, the last time first.
fn deaths(message: &str) -> String {
    let Some((_, deaths)) = message.split_once("b\"x-death\": Array([") else {
        return String::new();
    };
    let mut text = String::new();
    for death in deaths.split("Table({").skip(1) {
        let of = |key: &str| {
            let rest = death.split(&format!("b\"{key}\": ")).nth(1).unwrap();
            rest.split('(').nth(1).unwrap().split(')').next().unwrap().trim_matches(['b', '"'])
        };
        text += &format!(", {} {} {}", of("reason"), of("count"), of("queue"));
    }
    text
}

fn value(text: &'static str) -> Value {
    if let Ok(number) = text.parse::<i32>() {
        return Value::I32(number);
    }
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "void" => Value::Void,
        "array" => Value::Array(vec![Value::I32(1)]),
        "table" => Value::Table(crate::place::table([("k", Value::I32(1))])),
        "nothing" => Value::from(""),
        _ => match text.strip_prefix("float:") {
            Some(number) => Value::F64(number.parse().unwrap()),
            None if text.starts_with("bytes:") => {
                Value::Bytes(text.trim_start_matches("bytes:").into())
            }
            None if text.starts_with("time:") => Value::Timestamp(amqp091::types::Timestamp(
                text.trim_start_matches("time:").parse().unwrap(),
            )),
            None => match text.strip_prefix("long:") {
                Some(number) => Value::I64(number.parse().unwrap()),
                None => Value::from(text),
            },
        },
    }
}

/// The words with `=` in them.
fn arguments(words: &[&'static str]) -> Arguments {
    let pairs = words.iter().filter_map(|word| word.split_once('='));
    pairs.map(|(key, text)| (key, value(text))).collect()
}

fn name(words: &[&'static str], index: usize) -> &'static str {
    match words.get(index) {
        Some(&"-") | None => "",
        Some(name) => name,
    }
}

fn parse(command: &str, words: &[&'static str]) -> (Action, u64) {
    let has = |word: &str| words.contains(&word);
    let name = |index| name(words, index);
    let arguments = || arguments(words);
    let tag = words.first().and_then(|word| word.parse().ok()).unwrap_or(0);
    let flags = Flags {
        passive: has("passive"),
        durable: has("durable"),
        exclusive: has("exclusive"),
        auto_delete: has("auto-delete"),
        internal: has("internal"),
    };
    let which = Which::Tag(tag);
    let action = match command {
        "declare" => Action::DeclareQueue { queue: name(0), flags, arguments: arguments() },
        "exchange" => Action::DeclareExchange {
            exchange: name(0),
            kind: name(1),
            flags,
            arguments: arguments(),
        },
        "delete" => Action::DeleteQueue {
            queue: name(0),
            if_unused: has("if-unused"),
            if_empty: has("if-empty"),
        },
        "delete-exchange" => {
            Action::DeleteExchange { exchange: name(0), if_unused: has("if-unused") }
        }
        "purge" => Action::Purge(name(0)),
        "bind" => {
            Action::Bind { queue: name(0), exchange: name(1), key: name(2), arguments: arguments() }
        }
        "unbind" => Action::Unbind {
            queue: name(0),
            exchange: name(1),
            key: name(2),
            arguments: arguments(),
        },
        "publish" => Action::Publish {
            exchange: name(0),
            key: name(1),
            mandatory: has("mandatory"),
            with: with(words),
            size: words
                .iter()
                .find_map(|word| word.strip_prefix("size=")?.parse().ok())
                .unwrap_or(0),
        },
        "e2e" => Action::BindExchange {
            destination: name(0),
            source: name(1),
            key: name(2),
            arguments: arguments(),
        },
        "unbind-e2e" => Action::UnbindExchange {
            destination: name(0),
            source: name(1),
            key: name(2),
            arguments: arguments(),
        },
        "confirm" => Action::ConfirmSelect,
        "tx" => Action::TxSelect,
        "commit" => Action::TxCommit,
        "rollback" => Action::TxRollback,
        "get" => Action::Get { queue: name(0), no_ack: has("no-ack") },
        "consume" => Action::Consume {
            queue: name(0),
            tag: name(1),
            no_ack: has("no-ack"),
            exclusive: has("exclusive"),
            arguments: arguments(),
        },
        "cancel" => Action::Cancel(name(0)),
        "qos" => Action::Qos { count: tag as u16, global: has("global") },
        "ack" => Action::Ack { which, multiple: has("multiple") },
        "nack" => Action::Nack { which, multiple: has("multiple"), requeue: !has("drop") },
        "reject" => Action::Reject { which, requeue: !has("drop") },
        "recover" => Action::Recover { requeue: !has("drop") },
        "recover-async" => Action::RecoverAsync { requeue: !has("drop") },
        "flow" => Action::Flow(!has("stop")),
        "close" => Action::CloseChannel,
        "end" => Action::CloseConnection,
        "drop" => Action::DropConnection,
        other => panic!("there is no {other}"),
    };
    (action, tag)
}

fn with(words: &[&'static str]) -> With {
    let mut with = With::default();
    let mut headers = Arguments::new();
    for (key, text) in words.iter().filter_map(|word| word.split_once('=')) {
        match key {
            "expiration" => with.expiration = Some(text),
            "priority" => with.priority = text.parse().ok(),
            "mode" => with.delivery_mode = text.parse().ok(),
            "user" => with.user_id = Some(text),
            "reply-to" => with.reply_to = Some(text),
            "CC" | "BCC" => {
                headers.push((key, Value::Array(text.split(',').map(value).collect())));
            }
            "size" => {}
            _ => headers.push((key, value(text))),
        }
    }
    if !headers.is_empty() {
        with.headers = Some(headers);
    }
    with
}
