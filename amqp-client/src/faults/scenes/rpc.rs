//! Both sides of remote procedure calls.

use super::*;

/// The tag of the first consumer that was asked for on a channel.
fn consumer_tag(world: &World<'_>, number: u16) -> Option<String> {
    let consume = world.sent.iter().rev().find_map(|sent| match sent {
        Sent::Method(channel, amqp091::protocol::ToServer::BasicConsume(consume))
            if *channel == number =>
        {
            Some(consume.consumer_tag.clone())
        }
        _ => None,
    });
    consume.and_then(|tag| tag.to_str().ok().map(str::to_owned))
}

/// Delivers a message with these properties to the consumer of a channel.
fn deliver_with(server: &mut Server, world: &mut World<'_>, number: u16, properties: &[u8]) {
    server.look(world);
    let Some(tag) = consumer_tag(world, number) else { return };
    let Some(delivery_tag) = server.next_delivery(number, &tag) else { return };
    let mut octets = method_frame(number, &delivery(&tag, delivery_tag));
    octets.extend(header_frame(number, 5, properties));
    octets.extend(body_frame(number, b"reply"));
    world.say(&octets);
    server.look(world);
}

/// Replies to the call with this correlation id.
fn reply(server: &mut Server, world: &mut World<'_>, id: u8) {
    deliver_with(server, world, 1, &[0x04, 0, 1, id]);
}

/// Calls in flight: replies out of order, to nobody, none for want of a server, and the channel closed.
pub(super) fn calls() -> Scene {
    async fn call(stage: Stage, note: Note) {
        let Some(client) = stage.clients.borrow().first().cloned() else { return };
        match client.call("", "sum", "1 2").timeout(Duration::from_secs(600)).await {
            Ok(reply) => note.say(format!("reply {}", digest(&reply.body))),
            Err(error) => note.say(rpc_error(&error)),
        }
    }
    let mut steps = open!(1).to_vec();
    steps.extend([
        program!(stage, note, {
            let Some(channel) = stage.channel(1) else { return };
            if let Some(client) = note.result("client", RpcClient::with_channel(channel).await) {
                stage.clients.borrow_mut().push(client);
            }
        }),
        ANSWERS,
        program!(stage, note, { call(stage, note).await }),
        program!(stage, note, { call(stage, note).await }),
        program!(stage, note, { call(stage, note).await }),
        Step::Server(|server, world| reply(server, world, b'2')),
        Step::Server(|server, world| server.say(world, 1, &Say::Return(2))),
        Step::Server(|server, world| confirm(server, world, 2, true)),
        Step::Server(|server, world| reply(server, world, b'2')),
        Step::Server(|server, world| reply(server, world, b'9')),
        program!(stage, note, { call(stage, note).await }),
        Step::Server(|server, world| server.say(world, 1, &Say::Close)),
        program!(stage, note, { call(stage, note).await }),
        program!(stage, note, { call(stage, note).await }),
        Step::Server(|server, world| answer(server, world, 1)),
        Step::Server(|server, world| answer(server, world, 1)),
        ANSWERS,
        Step::Server(|server, world| reply(server, world, b'6')),
        Step::Server(|server, world| reply(server, world, b'5')),
        program!(stage, note, { call(stage, note).await }),
    ]);
    Scene { name: "calls", steps }
}

/// A server of requests, some with an address, one that fails.
pub(super) fn served() -> Scene {
    let mut steps = open!(1).to_vec();
    steps.extend([
        program!(stage, note, {
            let Some(channel) = stage.channel(1) else { return };
            let started = channel.consume("q").consumer_tag("t1").prefetch(3).await;
            drop(channel);
            let Some(consumer) = note.result("consume", started) else { return };
            stage.handles.borrow_mut().push(consumer.handle());
            let noted = note.clone();
            let end = consumer
                .serve(2, OnFailure::Requeue, move |request| {
                    handled(stage.clone(), noted.clone(), request)
                })
                .await;
            let lost = end.end.error(&Default::default());
            note.say(format!("{} acked, {} failed, {}", end.acked, end.failed, brief(&lost)));
        }),
        ANSWERS,
        Step::Server(|server, world| deliver_with(server, world, 1, &[0x06, 0, 1, b'1', 1, b'r'])),
        Step::Server(|server, world| deliver_with(server, world, 1, &[0x06, 0, 1, b'2', 1, b'r'])),
        Step::Server(|server, world| deliver_with(server, world, 1, &[0x06, 0, 1, b'3', 1, b'r'])),
        program!(stage, note, {
            open_gates(&stage);
            note.say("gates");
        }),
        Step::Server(|server, world| deliver_with(server, world, 1, &[0, 0])),
        Step::Server(|server, world| confirm(server, world, 0, false)),
        Step::Server(|server, world| {
            server.say(world, 1, &Say::Confirm { choice: 0, multiple: false, ack: false });
        }),
        Step::Server(|server, world| deliver_with(server, world, 1, &[0x06, 0, 1, b'5', 1, b'r'])),
        program!(stage, note, {
            let handle = stage.handles.borrow().first().cloned();
            if let Some(handle) = handle {
                note.result("cancel", handle.cancel().await);
            }
        }),
        ANSWERS,
    ]);
    Scene { name: "served", steps }
}
