//! What is recorded of the program's declarations, when, and when it is forgotten.

use amqp091::protocol::{exchange, queue};
use amqp091::types::Request;

use super::*;
use crate::core::setup::Life;
use crate::core::topology::Kind;

fn queue(name: &str) -> queue::Declare {
    queue::Declare { queue: short(name), ..Default::default() }
}

fn exchange(name: &str) -> exchange::Declare {
    exchange::Declare { exchange: short(name), r#type: short("fanout"), ..Default::default() }
}

fn bind(queue: &str, exchange: &str, routing_key: &str) -> queue::Bind {
    let (queue, exchange) = (short(queue), short(exchange));
    queue::Bind { queue, exchange, routing_key: short(routing_key), ..Default::default() }
}

fn delete(queue: &str) -> queue::Delete {
    queue::Delete { queue: short(queue), ..Default::default() }
}

impl Script {
    /// Sends a request without letting the server answer.
    fn ask(&mut self, channel: ChannelKey, request: &impl Request) -> CallId {
        let now = self.now();
        self.core.call(channel, request, now).unwrap()
    }

    /// Sends a method without a reply.
    fn tell(&mut self, channel: ChannelKey, method: &impl Method) {
        let cx = &Context::from_waker(Waker::noop());
        let told = self.core.poll_send(channel, method, &mut None, cx);
        assert!(matches!(told, Poll::Ready(Ok(()))));
    }

    fn declare(&mut self, channel: ChannelKey, declare: &queue::Declare) {
        self.ask(channel, declare);
        self.declare_ok(1, declare.queue.clone());
    }

    fn declare_ok(&mut self, number: u16, queue: ShortStr) {
        let (message_count, consumer_count) = (0, 0);
        self.method(number, queue::DeclareOk { queue, message_count, consumer_count });
    }

    fn declare_exchange(&mut self, channel: ChannelKey, declare: &exchange::Declare) {
        self.ask(channel, declare);
        self.method(1, exchange::DeclareOk {});
    }

    fn bind(&mut self, channel: ChannelKey, bind: &queue::Bind) {
        self.ask(channel, bind);
        self.method(1, queue::BindOk {});
    }

    /// Everything that is recorded: exchanges, queues (those with names by the server in brackets) and
    /// bindings, in their order.
    fn recorded(&self) -> String {
        let plan = self.core.topology.plan();
        let exchanges = plan.exchanges.iter().map(|exchange| exchange.exchange.to_string());
        let queues = plan.queues.iter().map(|queue| {
            let name = &queue.declare.queue;
            if queue.server_named { format!("[{name}]") } else { name.to_string() }
        });
        let bindings = plan.bindings.iter().map(|binding| {
            let arrow = if binding.kind == Kind::Queue { "->" } else { "=>" };
            format!("{}-{}{arrow}{}", binding.source, binding.routing_key, binding.destination)
        });
        exchanges.chain(queues).chain(bindings).collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn what_is_declared_is_recorded_in_order_when_the_server_agrees() {
    let mut script = Script::open();
    let channel = script.channel();
    for name in ["b", "a"] {
        script.ask(channel, &queue(name));
    }
    assert_eq!(script.recorded(), "");
    for name in ["b", "a"] {
        script.declare_ok(1, short(name));
    }
    assert_eq!(script.recorded(), "b a");
    script.bind(channel, &bind("a", "x", "2"));
    script.bind(channel, &bind("a", "x", "1"));
    script.declare_exchange(channel, &exchange("x"));
    let to_y = exchange::Bind {
        destination: short("y"),
        source: short("x"),
        routing_key: short("3"),
        ..Default::default()
    };
    script.ask(channel, &to_y);
    script.method(1, exchange::BindOk {});
    assert_eq!(script.recorded(), "x b a x-2->a x-1->a x-3=>y");
    // Again is not twice, and changes no order.
    script.bind(channel, &bind("a", "x", "2"));
    script.declare(channel, &queue("b"));
    assert_eq!(script.recorded(), "x b a x-2->a x-1->a x-3=>y");
}

#[test]
fn what_the_server_refuses_or_is_only_asked_about_is_not_recorded() {
    let mut script = Script::open();
    let channel = script.channel();
    script.declare(channel, &queue::Declare { passive: true, ..queue("q") });
    script.declare_exchange(channel, &exchange::Declare { passive: true, ..exchange("x") });
    script.ask(channel, &queue("no"));
    script.tell(channel, &bind("no", "x", "behind"));
    script.method(1, channel_close(ReplyCode::PRECONDITION_FAILED));
    assert_eq!(script.recorded(), "");
}

#[test]
fn what_goes_without_a_reply_is_recorded_behind_what_is_still_to_be_answered() {
    let mut script = Script::open();
    let channel = script.channel();
    script.tell(channel, &queue::Declare { no_wait: true, ..queue("first") });
    assert_eq!(script.recorded(), "first");
    script.ask(channel, &queue("second"));
    script.tell(channel, &queue::Delete { no_wait: true, ..delete("second") });
    script.tell(channel, &bind("first", "x", "k"));
    assert_eq!(script.recorded(), "first");
    script.declare_ok(1, short("second"));
    assert_eq!(script.recorded(), "first x-k->first");
}

#[test]
fn what_the_server_agrees_to_while_the_channel_closes_is_recorded() {
    let mut script = Script::open();
    let channel = script.channel();
    let call = script.ask(channel, &queue("q"));
    script.tell(channel, &bind("q", "x", "k"));
    let now = script.now();
    let success = ReplyCode::REPLY_SUCCESS;
    let reason = crate::error::CloseReason::ByUser;
    let close = script.core.close_channel(channel, reason, success, now).unwrap();
    assert!(script.answer(call).is_err(), "whoever waited is told of the close");
    script.declare_ok(1, short("q"));
    script.method(1, channel::CloseOk {});
    assert!(script.answer(close).is_ok());
    assert_eq!(script.recorded(), "q x-k->q");
}

#[test]
fn an_empty_queue_name_is_the_last_queues_also_while_that_has_no_name_yet() {
    let mut script = Script::open();
    let channel = script.channel();
    script.ask(channel, &queue(""));
    script.ask(channel, &bind("", "x", "k"));
    script.ask(channel, &bind("", "x", ""));
    script.ask(channel, &queue("other"));
    script.ask(channel, &bind("", "x", "k"));
    script.tell(channel, &bind("", "x", ""));
    script.declare_ok(1, short("amq.gen-1"));
    script.method(1, queue::BindOk {});
    script.method(1, queue::BindOk {});
    script.declare_ok(1, short("other"));
    script.method(1, queue::BindOk {});
    let expected =
        "[amq.gen-1] other x-k->amq.gen-1 x-amq.gen-1->amq.gen-1 x-k->other x-other->other";
    assert_eq!(script.recorded(), expected);
    // Declared again by its name, it is still one that the server has named.
    script.declare(channel, &queue("amq.gen-1"));
    assert_eq!(script.recorded(), expected);
    // A passive declaration counts as one.
    script.declare(channel, &queue::Declare { passive: true, ..queue("foreign") });
    script.bind(channel, &bind("", "x", "k"));
    assert!(script.recorded().ends_with(" x-k->foreign"));
    // One that is named without telling us can't be known.
    script.tell(channel, &queue::Declare { no_wait: true, ..queue("") });
    script.bind(channel, &bind("", "x", "unknown"));
    assert!(!script.recorded().contains("unknown"));
}

#[test]
fn what_is_deleted_takes_its_bindings_along() {
    let mut script = Script::open();
    let channel = script.channel();
    for name in ["p", "q"] {
        script.declare(channel, &queue(name));
        script.bind(channel, &bind(name, "x", "k"));
        script.bind(channel, &bind(name, "y", "k"));
    }
    script.declare_exchange(channel, &exchange("x"));
    script.ask(channel, &delete("p"));
    script.method(1, queue::DeleteOk { message_count: 0 });
    assert_eq!(script.recorded(), "x q x-k->q y-k->q");
    script.ask(channel, &exchange::Delete { exchange: short("x"), ..Default::default() });
    script.method(1, exchange::DeleteOk {});
    assert_eq!(script.recorded(), "q y-k->q");
    let unbind = queue::Unbind {
        queue: short("q"),
        exchange: short("y"),
        routing_key: short("k"),
        ..Default::default()
    };
    script.ask(channel, &unbind);
    assert_eq!(script.recorded(), "q y-k->q");
    script.method(1, queue::UnbindOk {});
    assert_eq!(script.recorded(), "q");
    script.ask(channel, &delete("q"));
    script.method(1, queue::DeleteOk { message_count: 0 });
    assert!(script.core.topology.is_tidy());
}

#[test]
fn an_auto_delete_exchange_goes_with_its_last_binding_and_so_on() {
    let mut script = Script::open();
    let channel = script.channel();
    for name in ["a", "b"] {
        script
            .declare_exchange(channel, &exchange::Declare { auto_delete: true, ..exchange(name) });
    }
    script.ask(
        channel,
        &exchange::Bind { destination: short("b"), source: short("a"), ..Default::default() },
    );
    script.method(1, exchange::BindOk {});
    for name in ["p", "q"] {
        script.declare(channel, &queue(name));
        script.bind(channel, &bind(name, "b", ""));
    }
    script.ask(channel, &delete("p"));
    script.method(1, queue::DeleteOk { message_count: 0 });
    assert_eq!(script.recorded(), "a b q a-=>b b-->q");
    script.ask(channel, &delete("q"));
    script.method(1, queue::DeleteOk { message_count: 0 });
    assert_eq!(script.recorded(), "");
    assert!(script.core.topology.is_tidy());
}

#[test]
fn an_auto_delete_queue_goes_with_its_last_consumer() {
    let mut script = Script::open();
    let channel = script.channel();
    // `Script::consume` consumes from it.
    let declare = queue::Declare { auto_delete: true, ..queue("q") };
    script.declare(channel, &declare);
    let first = script.consume(channel, 1, "first", false);
    let second = script.consume(channel, 1, "second", false);
    let now = script.now();
    // A handle that is dropped is a consumer less.
    script.core.release_consumer(channel, first, (&short("first"), false), [], now);
    assert_eq!(script.recorded(), "q");
    script.core.cancel(channel, second, &short("second"), now).unwrap();
    assert_eq!(script.recorded(), "q");
    script.method(1, basic::CancelOk { consumer_tag: short("first") });
    script.method(1, basic::CancelOk { consumer_tag: short("second") });
    assert_eq!(script.recorded(), "");

    script.declare(channel, &declare);
    script.consume(channel, 1, "third", false);
    script.method(1, channel_close(ReplyCode::NOT_FOUND));
    assert_eq!(script.recorded(), "", "the channel took its consumer along");

    let channel = script.channel();
    script.declare(channel, &declare);
    script.consume(channel, 1, "fourth", false);
    script.core.lose(crate::error::CloseReason::Eof);
    assert_eq!(script.recorded(), "q", "the connection took it along: it is to be declared again");
}

#[test]
fn consumers_are_kept_with_their_prefetch_until_they_are_gone() {
    let mut script = Script::open();
    let channel = script.channel();
    let tags = |script: &mut Script, channel| -> Vec<(String, Option<(u32, u16)>)> {
        let setup = &script.core.channels.get_mut(channel).unwrap().setup;
        let consumers = setup.consumers.iter().filter(|record| record.life == Life::Running);
        consumers.map(|record| (record.consume.consumer_tag.to_string(), record.prefetch)).collect()
    };
    let qos = |count, global| basic::Qos { prefetch_size: 0, prefetch_count: count, global };
    script.ask(channel, &qos(5, false));
    script.consume(channel, 1, "a", false);
    script.ask(channel, &qos(7, true));
    script.ask(channel, &qos(6, false));
    let b = script.consume(channel, 1, "b", true);
    let kept = tags(&mut script, channel);
    assert_eq!(kept, [("a".to_owned(), Some((0, 5))), ("b".to_owned(), Some((0, 6)))]);
    assert_eq!(script.core.channels.get_mut(channel).unwrap().setup.prefetch.channel, Some((0, 7)));
    // The server cancels one.
    script.method(1, basic::Cancel { consumer_tag: short("a"), no_wait: true });
    assert_eq!(tags(&mut script, channel).len(), 1);
    // Without a reply, it counts as started; and it is gone with its queue.
    let now = script.now();
    let no_wait = basic::Consume { no_wait: true, ..consume("c", false) };
    script.core.consume_no_wait(channel, &no_wait).unwrap();
    assert_eq!(tags(&mut script, channel).len(), 2);
    script.declare(channel, &queue("q"));
    script.consume(channel, 1, "d", false);
    script.ask(channel, &delete("q"));
    script.method(1, queue::DeleteOk { message_count: 0 });
    assert_eq!(tags(&mut script, channel), []);
    script.core.release_consumer(channel, b, (&short("b"), true), [], now);
}

#[test]
fn temporary_queues_leave_nothing_behind() {
    let mut script = Script::open();
    let channel = script.channel();
    for round in 0..1000 {
        let name = format!("q{round}");
        script.declare(channel, &queue(&name));
        script.bind(channel, &bind(&name, "x", "k"));
        script.ask(channel, &delete(&name));
        script.method(1, queue::DeleteOk { message_count: 0 });
    }
    assert!(script.core.topology.is_tidy());
    let options = ConnectOptions::default().record_topology(false);
    let mut script = Script::open_with(options, (2047, 131_072, 0));
    let channel = script.channel();
    script.declare(channel, &queue("q"));
    script.bind(channel, &bind("q", "x", "k"));
    assert!(script.core.topology.is_tidy(), "recording is off");
}
