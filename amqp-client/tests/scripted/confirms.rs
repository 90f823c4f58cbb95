//! Confirms under load: many tasks on one channel, and a server that answers in any order.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use amqp091::protocol::{ToServer, basic, connection};
use amqp091_client::{Confirm, ConnectOptions, Outcome, ReplyCode};
use tokio::io::DuplexStream;

use crate::peer::{Peer, Received, short, with_channel, within};

const TASKS: usize = 64;
const PER_TASK: usize = 200_000 / TASKS;

/// Publishes that each task has outstanding.
const WINDOW: usize = 50;

/// SplitMix64: the same numbers in every run.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// How the server settles its outstanding confirms: by the first octet of each body.
#[derive(Debug)]
struct Settler {
    random: Random,
    next_tag: u64,
    /// Whether to nack, by tag.
    outstanding: BTreeMap<u64, bool>,
    /// What comes back before it is acknowledged, by tag.
    returning: BTreeMap<u64, (basic::Return, Vec<u8>)>,
    nacks: u64,
    multiples: u64,
}

impl Settler {
    fn published(&mut self, publish: basic::Publish, body: &[u8]) {
        self.next_tag += 1;
        if body[0] == b'R' {
            assert!(publish.mandatory);
            let returned = basic::Return {
                reply_code: ReplyCode::NO_ROUTE,
                reply_text: short("NO_ROUTE"),
                exchange: publish.exchange,
                routing_key: publish.routing_key,
            };
            self.returning.insert(self.next_tag, (returned, body.to_vec()));
        }
        self.outstanding.insert(self.next_tag, body[0] == b'N');
    }

    /// Settles at random until at most `keep` are outstanding.
    fn settle(&mut self, peer: &mut Peer<DuplexStream>, keep: usize) {
        while self.outstanding.len() > keep {
            let (&first, &nack) = self.outstanding.first_key_value().unwrap();
            if self.random.below(3) == 0 {
                // All up to one tag at once, as far as they have the same fate.
                let alike = self.outstanding.iter().take_while(|&(_, &other)| other == nack);
                let most = self.random.below(20);
                let last = alike.take(most + 1).last().map_or(first, |(&tag, _)| tag);
                self.answer(peer, last, true, nack);
                self.outstanding = self.outstanding.split_off(&(last + 1));
            } else {
                let index = self.random.below(self.outstanding.len().min(64));
                let (&tag, &nack) = self.outstanding.iter().nth(index).unwrap();
                self.answer(peer, tag, false, nack);
                self.outstanding.remove(&tag);
            }
        }
    }

    fn answer(&mut self, peer: &mut Peer<DuplexStream>, tag: u64, multiple: bool, nack: bool) {
        self.multiples += u64::from(multiple);
        self.nacks += u64::from(nack);
        // Not in the order in which they were published.
        let first = if multiple { 0 } else { tag };
        while let Some((&last, _)) = self.returning.range(first..=tag).next_back() {
            let (returned, body) = self.returning.remove(&last).unwrap();
            peer.method(1, &returned);
            peer.content(1, body.len(), &body);
        }
        if nack {
            // Servers leave the requeue bit in any state.
            let requeue = self.random.below(2) == 0;
            peer.method(1, &basic::Nack { delivery_tag: tag, multiple, requeue });
        } else {
            peer.method(1, &basic::Ack { delivery_tag: tag, multiple });
        }
    }

    async fn run(mut self, mut peer: Peer<DuplexStream>) -> Self {
        loop {
            let keep = self.random.below(500);
            self.settle(&mut peer, keep);
            peer.flush().await;
            // With nothing more to come, everybody waits for what is outstanding.
            let read = tokio::time::timeout(Duration::from_millis(2), peer.read_octets()).await;
            if read == Ok(0) {
                return self;
            }
            if read.is_err() {
                self.settle(&mut peer, 0);
                continue;
            }
            while let Some((_, received)) = peer.decode() {
                let Received::Method(method) = received else { panic!("no content is due") };
                match method {
                    ToServer::ConfirmSelect(_) => assert_eq!(self.next_tag, 0),
                    ToServer::BasicPublish(publish) => {
                        assert!(matches!(peer.read().await, Some((1, Received::Header { .. }))));
                        let Some((1, Received::Body(body))) = peer.read().await else {
                            panic!("a body is due")
                        };
                        self.published(publish, &body);
                    }
                    ToServer::ConnectionClose(_) => {
                        peer.send(0, &connection::CloseOk {}).await;
                    }
                    ToServer::ChannelClose(_) => {}
                    other => panic!("unexpected {other:?}"),
                }
            }
        }
    }
}

async fn check(confirm: Confirm, body: String) -> u8 {
    let outcome = confirm.await;
    match (body.as_bytes()[0], outcome) {
        (b'A', Outcome::Confirmed) => b'A',
        (b'N', Outcome::Nacked) => b'N',
        (b'R', Outcome::Returned(returned)) if returned.body == body.as_bytes() => b'R',
        (_, outcome) => panic!("{body} had the outcome {outcome:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_tasks_on_one_channel_get_200_000_right_outcomes() {
    within(async {
        let options = ConnectOptions::default();
        let (connection, channel, peer) = with_channel(&options).await;
        let settler = Settler {
            random: Random(64),
            next_tag: 0,
            outstanding: BTreeMap::new(),
            returning: BTreeMap::new(),
            nacks: 0,
            multiples: 0,
        };
        let server = tokio::spawn(settler.run(peer));
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let channel = channel.clone();
                tokio::spawn(async move {
                    let mut random = Random(task as u64);
                    let mut window = VecDeque::new();
                    let mut counts = [0_usize; 256];
                    for number in 0..PER_TASK {
                        let fate = [b'A', b'A', b'A', b'N', b'R'][random.below(5)] as char;
                        // Bodies of returned messages alone tell them apart.
                        let body = format!("{fate} {task} {number}");
                        let publish = channel.publish("", "key", &body).mandatory(fate == 'R');
                        let confirm = publish.await.unwrap();
                        if random.below(10) == 0 {
                            // Whoever gives up on one must not disturb the others.
                            drop(confirm);
                        } else {
                            window.push_back((confirm, body));
                        }
                        if window.len() == WINDOW {
                            let index = random.below(WINDOW);
                            let (confirm, body) = window.swap_remove_back(index).unwrap();
                            counts[usize::from(check(confirm, body).await)] += 1;
                        }
                    }
                    for (confirm, body) in window {
                        counts[usize::from(check(confirm, body).await)] += 1;
                    }
                    counts
                })
            })
            .collect();
        let mut totals = [0; 256];
        for task in tasks {
            for (total, count) in totals.iter_mut().zip(task.await.unwrap()) {
                *total += count;
            }
        }
        connection.close().await.unwrap();
        drop((channel, connection));
        let settler = server.await.unwrap();
        assert_eq!(settler.next_tag as usize, TASKS * PER_TASK);
        assert!(settler.nacks > 1000 && settler.multiples > 1000, "{settler:?}");
        for fate in *b"ANR" {
            assert!(totals[usize::from(fate)] > 20_000, "{}", totals[usize::from(fate)]);
        }
    })
    .await;
}
