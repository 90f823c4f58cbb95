//! Acknowledgements that wait, and consumers together.

use super::*;

/// Acknowledgements that wait: some kept, some refused, a recover; the server checks each.
pub(super) fn acks() -> Scene {
    let mut steps = open!(1).to_vec();
    steps.extend([
        program!(stage, note, {
            let Some(channel) = stage.channel(1) else { return };
            let got = channel.get("q").await;
            if let Some(Some(got)) = note.result("get", got) {
                stage.kept.borrow_mut().push_back(got.delivery);
            }
        }),
        ANSWERS,
        program!(stage, note, {
            let Some(channel) = stage.channel(1) else { return };
            let consume = channel.consume("q").consumer_tag("t1").prefetch(9);
            let started = consume.coalesce_acks(3, Duration::from_secs(60)).await;
            drop(channel);
            let Some(consumer) = note.result("consume", started) else { return };
            consuming(stage, note, consumer).await;
        }),
        program!(stage, note, {
            let Some(channel) = stage.channel(1) else { return };
            let started = channel.consume("q").consumer_tag("t2").no_ack(true).await;
            drop(channel);
            let Some(consumer) = note.result("consume", started) else { return };
            consuming(stage, note, consumer).await;
        }),
        ANSWERS,
        Step::Server(|server, world| {
            for (tag, size) in [(b'1', 3), (b'1', 17_000), (b'2', 4), (b'1', 5), (b'1', 6)] {
                deliver(server, world, 1, tag, size);
            }
        }),
        program!(stage, note, {
            // The last of those that are kept goes back with all before it.
            let last = stage.kept.borrow_mut().pop_back();
            if let Some(last) = last {
                note.say(
                    last.nack_multiple(true)
                        .map_or_else(|error| brief(&error), |()| "nacked".to_owned()),
                );
            }
        }),
        Step::Server(|server, world| {
            for (tag, size) in [(b'1', 7), (b'1', 8), (b'2', 9), (b'1', 10)] {
                deliver(server, world, 1, tag, size);
            }
        }),
        program!(stage, note, {
            let Some(channel) = stage.channel(1) else { return };
            note.result("recover", channel.recover(true).await);
        }),
        Step::Server(|server, world| deliver(server, world, 1, b'1', 11)),
        ANSWERS,
        Step::Server(|server, world| {
            (0..9).for_each(|size| deliver(server, world, 1, b'1', size));
        }),
        program!(stage, note, {
            let Some(channel) = stage.channel(1) else { return };
            note.result("flush", channel.flush_acks());
            for delivery in std::mem::take(&mut *stage.kept.borrow_mut()) {
                let _ = delivery.ack();
            }
        }),
        program!(stage, note, {
            let handle = stage.handles.borrow().first().cloned();
            if let Some(handle) = handle {
                note.result("cancel", handle.cancel().await);
            }
        }),
        ANSWERS,
        Step::Server(|server, world| server.say(world, 1, &Say::Cancel(b'2', false))),
    ]);
    Scene { name: "acks", steps }
}

/// Two consumers of two channels as one stream, and one whose messages are handled side by side.
pub(super) fn merged() -> Scene {
    let mut steps = open!(1).to_vec();
    steps.extend(open!(2));
    steps.extend([
        program!(stage, note, {
            let (Some(one), Some(other)) = (stage.channel(1), stage.channel(2)) else { return };
            let mut merged = MergedConsumers::new();
            let first = one.consume("a").consumer_tag("t1").await;
            note.result("consume", first).into_iter().for_each(|consumer| merged.push(consumer));
            let second = other.consume("b").consumer_tag("t2").await;
            note.result("consume", second).into_iter().for_each(|consumer| merged.push(consumer));
            drop((one, other));
            while let Some(next) = merged.next().await {
                match next {
                    Ok(delivery) => {
                        note.say(format!("message {}", delivery.delivery_tag()));
                        let _ = delivery.ack();
                    }
                    Err(ended) => note.say(format!(
                        "end of {}: {}",
                        ended.consumer_tag.printable(),
                        brief(&ended.end.error(&ended.consumer_tag))
                    )),
                }
            }
            note.say("end");
        }),
        ANSWERS,
        ANSWERS,
        program!(stage, note, {
            let Some(channel) = stage.channel(2) else { return };
            let started = channel.consume("q").consumer_tag("t3").await;
            drop(channel);
            let Some(consumer) = note.result("consume", started) else { return };
            let noted = note.clone();
            let end = consumer
                .for_each_concurrent(2, OnFailure::DeadLetter, move |message| {
                    let handled = handled(stage.clone(), noted.clone(), message);
                    async move { handled.await.map(drop) }
                })
                .await;
            let lost = end.end.error(&Default::default());
            note.say(format!("{} acked, {} failed, {}", end.acked, end.failed, brief(&lost)));
        }),
        ANSWERS,
        Step::Server(|server, world| deliver(server, world, 1, b'1', 3)),
        Step::Server(|server, world| deliver(server, world, 2, b'2', 3)),
        Step::Server(|server, world| deliver(server, world, 2, b'3', 3)),
        Step::Server(|server, world| deliver(server, world, 2, b'3', 17_000)),
        Step::Server(|server, world| deliver(server, world, 2, b'3', 1)),
        Step::Server(|server, world| server.say(world, 1, &Say::Cancel(b'1', true))),
        program!(stage, note, {
            open_gates(&stage);
            note.say("gates");
        }),
        Step::Server(|server, world| deliver(server, world, 2, b'3', 1)),
        Step::Server(|server, world| deliver(server, world, 2, b'2', 3)),
        Step::Server(|server, world| server.say(world, 2, &Say::Close)),
    ]);
    Scene { name: "merged", steps }
}
