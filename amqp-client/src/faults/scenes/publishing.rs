//! Windows and batches, and bodies that come in pieces.

use super::*;

/// A window that is shared, a batch, a prepared publisher; returns, nacks, a server that blocks.
pub(super) fn windows() -> Scene {
    const LONG: Duration = Duration::from_secs(600);
    async fn within(stage: Stage, note: Note, size: usize) {
        let window = stage.windows.borrow().first().cloned();
        let publisher = stage.publishers.borrow().first().cloned();
        let (Some(window), Some(publisher)) = (window, publisher) else { return };
        let publish = publisher.publish(body(size, 3)).publish_timeout(LONG);
        match publish.confirm_timeout(LONG).within(&window).await {
            Ok(number) => note.say(format!("number {number}")),
            Err(error) => note.say(brief(&error)),
        }
    }
    let mut steps = open!(1).to_vec();
    steps.extend([
        program!(stage, note, {
            let Some(channel) = stage.channel(1) else { return };
            stage.windows.borrow_mut().push(Rc::new(channel.confirm_window(2)));
            let publisher = channel.publisher("", "k").mandatory(true).build();
            if let Some(publisher) = note.result("prepared", publisher) {
                stage.publishers.borrow_mut().push(Rc::new(publisher));
            }
        }),
        program!(stage, note, { within(stage, note, 3).await }),
        program!(stage, note, { within(stage, note, 17_000).await }),
        program!(stage, note, { within(stage, note, 5).await }),
        program!(stage, note, { within(stage, note, 17_001).await }),
        program!(stage, note, {
            let Some(window) = stage.windows.borrow().first().cloned() else { return };
            note.batch(window.flush().await);
        }),
        program!(stage, note, {
            let Some(channel) = stage.channel(1) else { return };
            let messages = (0..5).map(|size| {
                let size = if size == 3 { 17_003 } else { size };
                OutgoingMessage::new("", "b", body(size, 4)).mandatory(size == 1)
            });
            let batch = channel.publish_all(messages).window(2);
            note.batch(batch.publish_timeout(LONG).confirm_timeout(LONG).await);
        }),
        Step::Server(|server, world| confirm(server, world, 1, false)),
        Step::Server(|server, world| server.say(world, 0, &Say::Blocked(true))),
        Step::Server(|server, world| {
            let say = Say::Confirm { choice: 0, multiple: false, ack: false };
            server.say(world, 1, &say);
        }),
        Step::Server(|server, world| server.say(world, 0, &Say::Blocked(false))),
        Step::Server(|server, world| server.say(world, 1, &Say::Return(0))),
        Step::Server(|server, world| confirm(server, world, 1, true)),
        Step::Server(|server, world| confirm(server, world, 5, true)),
        Step::Server(|server, world| server.say(world, 1, &Say::Flow(false))),
        Step::Server(|server, world| confirm(server, world, 5, true)),
        Step::Server(|server, world| server.say(world, 1, &Say::Flow(true))),
        Step::Server(|server, world| confirm(server, world, 5, true)),
        Step::Server(|server, world| confirm(server, world, 5, true)),
        Step::Server(|server, world| confirm(server, world, 5, true)),
        program!(stage, note, { within(stage, note, 9).await }),
        program!(stage, note, { within(stage, note, 9).await }),
        program!(stage, note, { within(stage, note, 9).await }),
    ]);
    Scene { name: "windows", steps }
}

/// Bodies that come in pieces, behind which other things wait; the channel closed in the middle of one.
pub(super) fn bodies() -> Scene {
    async fn stream(stage: Stage, note: Note, slot: u8) {
        let Some(channel) = stage.channel(slot) else { return };
        let feed = Feed::default();
        stage.feeds.borrow_mut().push(feed.clone());
        let published = channel.publish_stream("", "k", 150_000, feed).mandatory(true).await;
        if let Some(confirm) = note.result("placed", published) {
            note.outcome(confirm.await);
        }
    }
    fn feed(stage: &Stage, place: usize, octets: usize) {
        let feed = stage.feeds.borrow().get(place).cloned();
        if let Some(feed) = feed {
            feed.push(vec![place as u8; octets]);
        }
    }
    let mut steps = open!(1).to_vec();
    steps.extend(open!(2));
    steps.extend([
        program!(stage, note, { stream(stage, note, 1).await }),
        program!(stage, note, {
            feed(&stage, 0, 70_000);
            note.say("fed");
        }),
        program!(stage, note, {
            let Some(channel) = stage.channel(1) else { return };
            note.result("qos", channel.qos(1).await);
        }),
        program!(stage, note, { publish(stage, note, 1, 10, true).await }),
        program!(stage, note, { publish(stage, note, 2, 10, true).await }),
        program!(stage, note, {
            feed(&stage, 0, 50_000);
            note.say("fed");
        }),
        Step::Server(|server, world| server.say(world, 0, &Say::Blocked(true))),
        program!(stage, note, {
            feed(&stage, 0, 30_000);
            note.say("fed");
        }),
        Step::Server(|server, world| server.say(world, 0, &Say::Blocked(false))),
        ANSWERS,
        Step::Server(|server, world| confirm(server, world, 9, true)),
        program!(stage, note, { stream(stage, note, 1).await }),
        program!(stage, note, {
            feed(&stage, 1, 70_000);
            note.say("fed");
        }),
        program!(stage, note, { publish(stage, note, 1, 10, true).await }),
        Step::Server(|server, world| server.say(world, 1, &Say::Close)),
        program!(stage, note, { reopen(stage, note, 1, true, true).await }),
        ANSWERS,
        program!(stage, note, { stream(stage, note, 1).await }),
        program!(stage, note, {
            feed(&stage, 2, 149_999);
            note.say("fed");
        }),
        // The source of a body that was given up goes on.
        program!(stage, note, {
            feed(&stage, 1, 3);
            note.say("fed");
        }),
        program!(stage, note, {
            feed(&stage, 2, 1);
            note.say("fed");
        }),
        program!(stage, note, {
            let Some(channel) = stage.channel(1) else { return };
            note.result("close", channel.close().await);
        }),
        Step::Server(|server, world| {
            server.say(world, 3, &Say::Confirm { choice: 0, multiple: false, ack: true })
        }),
        Step::Server(|server, world| {
            server.say(world, 2, &Say::Confirm { choice: 0, multiple: false, ack: true })
        }),
        ANSWERS,
    ]);
    Scene { name: "bodies", steps }
}
