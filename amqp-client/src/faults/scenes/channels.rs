//! Channels that are opened again.

use super::*;

/// A channel with modes and three consumers, closed by the server, comes back; one consumer is refused on
/// the way; publishes wait for it or fail.
pub(super) fn reopening() -> Scene {
    let mut steps = open!(1).to_vec();
    steps.extend([
        program!(stage, note, {
            let Some(channel) = stage.channel(1) else { return };
            note.result("qos", channel.qos(7).await);
            note.result("select", channel.confirm_select().await);
            let mut returns = channel.returns();
            drop(channel);
            while let Some(returned) = returns.next().await {
                note.say(format!("returned {}", digest(&returned.body)));
            }
            note.say("end");
        }),
        ANSWERS,
        program!(stage, note, {
            let Some(channel) = stage.channel(1) else { return };
            let consume = channel.consume("a").consumer_tag("t1").prefetch(3);
            let started = consume.coalesce_acks(10, Duration::from_secs(60)).await;
            drop(channel);
            let Some(consumer) = note.result("consume", started) else { return };
            consuming(stage, note, consumer).await;
        }),
        program!(stage, note, {
            let Some(channel) = stage.channel(1) else { return };
            let started = channel.consume("b").consumer_tag("t2").no_ack(true).await;
            drop(channel);
            let Some(consumer) = note.result("consume", started) else { return };
            consuming(stage, note, consumer).await;
        }),
        program!(stage, note, {
            let Some(channel) = stage.channel(1) else { return };
            let started = channel.consume("c").consumer_tag("t3").await;
            drop(channel);
            let Some(consumer) = note.result("consume", started) else { return };
            consuming(stage, note, consumer).await;
        }),
        ANSWERS,
        Step::Server(|server, world| deliver(server, world, 1, b'1', 3)),
        Step::Server(|server, world| deliver(server, world, 1, b'2', 17_000)),
        Step::Server(|server, world| deliver(server, world, 1, b'1', 4)),
        Step::Server(|server, world| deliver(server, world, 1, b'1', 9)),
        program!(stage, note, { publish(stage, note, 1, 5, true).await }),
        program!(stage, note, { publish(stage, note, 1, 17_000, false).await }),
        program!(stage, note, {
            let Some(channel) = stage.channel(1) else { return };
            note.result("sent", channel.publish_unconfirmed("", "k", "x").mandatory(true).await);
        }),
        Step::Server(|server, world| server.say(world, 1, &Say::Return(1))),
        Step::Server(|server, world| confirm(server, world, 2, false)),
        Step::Server(|server, world| server.say(world, 1, &Say::Close)),
        program!(stage, note, { reopen(stage, note, 1, true, true).await }),
        program!(stage, note, { reopen(stage, note, 1, true, false).await }),
        program!(stage, note, { publish(stage, note, 1, 6, false).await }),
        Step::Server(|server, world| answer(server, world, 1)),
        Step::Server(|server, world| answer(server, world, 1)),
        Step::Server(|server, world| answer(server, world, 1)),
        Step::Server(|server, world| answer(server, world, 1)),
        program!(stage, note, { publish(stage, note, 1, 17_001, true).await }),
        Step::Server(|server, world| answer(server, world, 1)),
        Step::Server(|server, world| server.refuse_consumer(world, 1)),
        Step::Server(|server, world| answer(server, world, 1)),
        program!(stage, note, { reopen(stage, note, 1, false, true).await }),
        ANSWERS,
        program!(stage, note, {
            open_gates(&stage);
            note.say("gates");
        }),
        Step::Server(|server, world| deliver(server, world, 1, b'1', 5)),
        Step::Server(|server, world| deliver(server, world, 1, b'3', 5)),
        program!(stage, note, {
            let Some(channel) = stage.channel(1) else { return };
            // What the instance that is gone had is nobody's to settle.
            for delivery in std::mem::take(&mut *stage.kept.borrow_mut()) {
                note.say(
                    delivery.ack().map_or_else(|_| "stale".to_owned(), |()| "acked".to_owned()),
                );
            }
            note.result("flush", channel.flush_acks());
        }),
        program!(stage, note, { publish(stage, note, 1, 7, true).await }),
        Step::Server(|server, world| server.say(world, 1, &Say::Return(0))),
        Step::Server(|server, world| confirm(server, world, 0, false)),
        program!(stage, note, { publish(stage, note, 1, 8, false).await }),
        program!(stage, note, {
            let Some(channel) = stage.channel(1) else { return };
            note.result("close", channel.close().await);
        }),
        program!(stage, note, { reopen(stage, note, 1, true, true).await }),
        ANSWERS,
    ]);
    Scene { name: "reopening", steps }
}
