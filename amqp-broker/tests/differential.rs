//! Random programs on the embedded broker and on RabbitMQ 3.10 at once, step by step: both have to say the
//! same.
//!
//! `AMQP091_DIFFERENTIAL_PROGRAMS` is how many there are (a hundred), `AMQP091_DIFFERENTIAL_SEED` the seed of
//! the first (1; `now` for one that differs from run to run), `AMQP091_DIFFERENTIAL_THEME` what they are
//! about (anything). What differs is made as short as it can be, and shown.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "differential/generate.rs"]
mod generate;
#[path = "differential/peer.rs"]
mod peer;
#[path = "differential/program.rs"]
mod program;
#[path = "differential/random.rs"]
mod random;
#[path = "differential/run.rs"]
mod run;
#[path = "differential/shrink.rs"]
mod shrink;
#[path = "differential/side.rs"]
mod side;

use std::env;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use amqp091_broker::{Broker, Profile};

use self::generate::Theme;
use self::program::Step;
use self::run::Difference;

/// Programs that run at once.
const AT_ONCE: usize = 4;

/// How often a difference has to be seen again to be one.
const SEEN_AGAIN: usize = 2;

fn setting(name: &str, otherwise: u64) -> u64 {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

fn theme() -> Option<Theme> {
    Some(match env::var("AMQP091_DIFFERENTIAL_THEME").ok()?.as_str() {
        "all" => Theme::All,
        "declarations" => Theme::Declarations,
        "routing" => Theme::Routing,
        "consumers" => Theme::Consumers,
        "settling" => Theme::Settling,
        "deaths" => Theme::Deaths,
        "quorum" => Theme::Quorum,
        other => panic!("there is no theme {other}"),
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Runs a program on a broker of its own and on another.
fn compare(
    runtime: &tokio::runtime::Runtime,
    steps: &[Step],
    theirs: &str,
) -> Result<(), Difference> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let broker = embedded(runtime, Profile::V3_10);
    let prefix = format!("differential-{:x}-{}-", now(), NEXT.fetch_add(1, Ordering::Relaxed));
    run::run(steps, &address(&broker.url()), theirs, &prefix)
}

fn embedded(runtime: &tokio::runtime::Runtime, profile: Profile) -> Broker {
    runtime.block_on(Broker::builder().profile(profile).start()).unwrap()
}

fn address(url: &str) -> String {
    let rest = url.rsplit_once('@').map_or(url, |(_, rest)| rest);
    rest.trim_start_matches("amqp://").split('/').next().unwrap_or_default().to_owned()
}

/// A program that differs, as short as it can be.
fn shown(
    runtime: &tokio::runtime::Runtime,
    theirs: &str,
    seed: u64,
    theme: Theme,
    steps: Vec<Step>,
) -> Option<String> {
    for _ in 0..SEEN_AGAIN {
        compare(runtime, &steps, theirs).err()?;
    }
    let shortest = shrink::shrink(steps, |steps| compare(runtime, steps, theirs).is_err());
    let difference = compare(runtime, &shortest, theirs).err()?;
    let mut text = format!("seed {seed}, {theme:?}:\n");
    for (number, Step { channel, action }) in shortest.iter().enumerate() {
        let _ = writeln!(text, "  {number} on {channel}: {action:?}");
    }
    let _ = writeln!(text, "{} (after {} steps)", difference.text, difference.step);
    Some(text)
}

#[test]
#[ignore = "needs RabbitMQ: run scripts/test"]
fn the_same_as_rabbitmq() {
    let url = env::var("AMQP091_TEST_URL").expect("AMQP091_TEST_URL is RabbitMQ's");
    let theirs = address(&url);
    let programs = setting("AMQP091_DIFFERENTIAL_PROGRAMS", 100);
    let first = match env::var("AMQP091_DIFFERENTIAL_SEED").as_deref() {
        Ok("now") => now(),
        _ => setting("AMQP091_DIFFERENTIAL_SEED", 1),
    };
    let next = AtomicU64::new(0);
    let differences = Mutex::new(Vec::new());
    let steps_run = AtomicU64::new(0);
    let unsteady = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let runtime = runtime();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= programs {
                        return;
                    }
                    let seed = first.wrapping_add(number);
                    let (theme, steps) = generate::program(seed, theme());
                    steps_run.fetch_add(steps.len() as u64, Ordering::Relaxed);
                    let Err(first_seen) = compare(&runtime, &steps, &theirs) else { continue };
                    match shown(&runtime, &theirs, seed, theme, steps) {
                        Some(text) => {
                            println!("{text}");
                            differences.lock().unwrap_or_else(PoisonError::into_inner).push(seed);
                        }
                        None => {
                            unsteady.fetch_add(1, Ordering::Relaxed);
                            let text = first_seen.text;
                            println!("seed {seed}, {theme:?}: not always: {text}");
                        }
                    }
                }
            });
        }
    });
    let differences = differences.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{programs} programs of {} steps from seed {first}: {} differ, {} did once",
        steps_run.into_inner(),
        differences.len(),
        unsteady.into_inner()
    );
    assert!(differences.is_empty(), "these seeds differ: {differences:?}");
}

/// Without a RabbitMQ: what runs twice has to be the same both times.
#[test]
fn the_same_as_itself() {
    let runtime = runtime();
    for (seed, profile) in (1..40).flat_map(|seed| [(seed, Profile::V3_10), (seed, Profile::V4)]) {
        let brokers = [embedded(&runtime, profile), embedded(&runtime, profile)];
        let [one, other] = brokers.each_ref().map(|broker| address(&broker.url()));
        let (theme, steps) = generate::program(seed, None);
        if let Err(difference) = run::run(&steps, &one, &other, "itself-") {
            panic!("seed {seed}, {theme:?}, {profile:?}: {}", difference.text);
        }
    }
}
