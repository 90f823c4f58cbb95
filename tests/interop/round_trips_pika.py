"""Round trips of pika's, through the broker whose URL is the argument; what it is told goes to stdout."""

import sys
import time

import pika
from pika.exceptions import AMQPError, ChannelClosedByBroker, NackError, UnroutableError

from transcript import heading, headers, say

NAME = "interop-pika"
connection = pika.BlockingConnection(pika.URLParameters(sys.argv[1]))


def refused(title, attempt):
    """What the broker closes a channel with."""
    channel = connection.channel()
    try:
        attempt(channel)
        channel.close()
        say(title, "no error")
    except ChannelClosedByBroker as error:
        say(title, error.reply_code, error.reply_text)


def got(channel, queue, auto_ack=True):
    """A message that may still be on its way."""
    for _ in range(200):
        method, properties, body = channel.basic_get(queue, auto_ack=auto_ack)
        if method is not None:
            return method, properties, body
        time.sleep(0.02)
    raise AssertionError(f"nothing in {queue}")


channel = connection.channel()
queues = [f"{NAME}-{name}" for name in ("work", "dead", "short", "full", "mine", "any")]
exchanges = [f"{NAME}-{name}" for name in ("topic", "headers", "fanout", "rest")]
work, dead, short, full, mine, any_queue = queues
topic, by_headers, fanout, rest = exchanges


def clean():
    for queue in queues:
        channel.queue_delete(queue)
    for exchange in exchanges:
        channel.exchange_delete(exchange)


clean()

heading("declare and bind")
channel.exchange_declare(rest, "fanout")
channel.exchange_declare(topic, "topic", arguments={"alternate-exchange": rest})
channel.exchange_declare(by_headers, "headers")
channel.exchange_declare(fanout, "fanout", internal=True)
for queue in (work, dead):
    declared = channel.queue_declare(queue, durable=True).method
    say("declared", declared.queue, declared.message_count, declared.consumer_count)
for key in ("orders.*", "a.#.z"):
    channel.queue_bind(work, topic, key)
channel.queue_declare(any_queue)
channel.queue_bind(any_queue, by_headers, arguments={"x-match": "any", "colour": "red", "size": 5})
channel.exchange_bind(fanout, by_headers, arguments={"x-match": "all", "colour": "blue"})
channel.queue_bind(any_queue, fanout)
channel.queue_bind(dead, rest)
made_up = channel.queue_declare("", exclusive=True).method.queue
say("made up", made_up.startswith("amq.gen-"), len(made_up))
refused("missing queue", lambda channel: channel.queue_declare("no-such-queue", passive=True))
refused("other arguments", lambda channel: channel.queue_declare(work, durable=False))
refused(
    "other time to live",
    lambda channel: channel.queue_declare(work, durable=True, arguments={"x-message-ttl": 5}),
)
refused("reserved name", lambda channel: channel.queue_declare("amq.mine"))
refused("delete amq.direct", lambda channel: channel.exchange_delete("amq.direct"))
refused("missing exchange", lambda channel: channel.queue_bind(work, "no-such-exchange", "k"))
refused("delete a missing queue", lambda channel: channel.queue_delete("no-such-queue", if_empty=True))

heading("publish with confirms")
channel.confirm_delivery()
properties = pika.BasicProperties(
    content_type="text/plain",
    content_encoding="identity",
    headers={"text": "é", "number": -5, "truth": True, "list": [1, "a"], "table": {"k": "v"}},
    delivery_mode=2,
    priority=3,
    correlation_id="c",
    reply_to="r",
    message_id="m",
    timestamp=1234567890,
    type="t",
    user_id="guest",
    app_id="a",
)
for number, key in enumerate(("orders.new", "a.z", "a.b.c.z", "orders.new.too", "other")):
    channel.basic_publish(topic, key, f"message {number}", properties, mandatory=True)
channel.basic_publish(by_headers, "", "red", pika.BasicProperties(headers={"colour": "red"}))
channel.basic_publish(by_headers, "", "5", pika.BasicProperties(headers={"size": 5}))
channel.basic_publish(by_headers, "", "blue", pika.BasicProperties(headers={"colour": "blue"}))
channel.basic_publish(by_headers, "", "none", pika.BasicProperties(headers={"colour": "green"}))
channel.basic_publish("", work, b"\0\xff" * 150_000)
for queue in (work, dead, any_queue):
    declared = channel.queue_declare(queue, passive=True).method
    say("ready", declared.queue, declared.message_count)
refused("publish to internal", lambda c: (c.basic_publish(fanout, "", ""), c.queue_declare(work, passive=True)))
refused("publish to missing", lambda c: (c.basic_publish("no-such", "", ""), c.queue_declare(work, passive=True)))
refused(
    "somebody else's name",
    lambda c: (
        c.basic_publish("", work, "", pika.BasicProperties(user_id="other")),
        c.queue_declare(work, passive=True),
    ),
)

heading("mandatory")
try:
    channel.basic_publish("", "no-such-queue", "back", properties, mandatory=True)
    say("not returned")
except UnroutableError as error:
    for message in error.messages:
        method = message.method
        say("returned", method.reply_code, method.reply_text, repr(method.exchange), method.routing_key)
        say(message.body.decode(), message.properties.correlation_id)
        headers(message.properties.headers)

heading("get")
method, properties, body = got(channel, work, auto_ack=False)
say(method.exchange, method.routing_key, method.redelivered, method.message_count, body.decode())
for field in sorted(vars(properties)):
    if field == "headers":
        headers(properties.headers)
    else:
        say(field, getattr(properties, field))
channel.basic_nack(method.delivery_tag, requeue=True)
method, properties, body = got(channel, work, auto_ack=False)
say("again", method.redelivered, body.decode())
channel.basic_ack(method.delivery_tag)
refused("ack of nothing", lambda c: (c.basic_ack(42), c.queue_declare(work, passive=True)))
say("empty", channel.basic_get(made_up)[0] is None)

heading("consume")
channel.basic_qos(prefetch_count=2)
for number, (method, properties, body) in enumerate(
    channel.consume(work, consumer_tag="tag", inactivity_timeout=1)
):
    if method is None:
        break
    say(method.consumer_tag, method.delivery_tag, method.redelivered, method.routing_key, len(body))
    if number == 1:
        channel.basic_reject(method.delivery_tag, requeue=True)
    else:
        channel.basic_ack(method.delivery_tag)
channel.cancel()
say("purged", channel.queue_purge(dead).method.message_count)
while (answer := channel.basic_get(any_queue, auto_ack=True))[0] is not None:
    say("by headers", answer[2].decode(), answer[0].message_count)

heading("dead letters")
to_dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
channel.queue_declare(short, arguments={**to_dead, "x-message-ttl": 40})
channel.queue_declare(
    full, arguments={**to_dead, "x-max-length": 1, "x-overflow": "reject-publish"}
)
channel.queue_declare(mine, arguments={**to_dead, "x-max-length": 1})


def died(title):
    method, properties, body = got(channel, dead)
    say(title, repr(method.exchange), method.routing_key, body.decode(), properties.expiration)
    headers(properties.headers)


channel.basic_publish("", short, "by the queue")
died("expired")
channel.basic_publish("", short, "by itself", pika.BasicProperties(expiration="5", headers={"k": 1}))
died("expired")
channel.basic_publish("", mine, "first")
channel.basic_publish("", mine, "second")
died("too many")
method, *_ = got(channel, mine, auto_ack=False)
channel.basic_reject(method.delivery_tag, requeue=False)
died("rejected")
channel.basic_publish("", full, "first")
try:
    channel.basic_publish("", full, "second")
    say("taken")
except NackError:
    say("nacked")

heading("transactions")
transaction = connection.channel()
transaction.tx_select()
transaction.basic_publish("", work, "dropped")
transaction.tx_rollback()
transaction.basic_publish("", work, "kept")
say("before", channel.queue_declare(work, passive=True).method.message_count)
transaction.tx_commit()
say("after", channel.queue_declare(work, passive=True).method.message_count)
transaction.close()
refused("commit without", lambda channel: channel.tx_commit())

heading("direct reply-to")
asking, answers = connection.channel(), []
asking.basic_consume(
    "amq.rabbitmq.reply-to", lambda *answer: answers.append(answer[3]), auto_ack=True
)
asking.basic_publish("", work, "ask", pika.BasicProperties(reply_to="amq.rabbitmq.reply-to"))
got(channel, work)
method, properties, body = got(channel, work)
say(body.decode(), properties.reply_to.startswith("amq.rabbitmq.reply-to."))
channel.basic_publish("", properties.reply_to, "answer")
connection.process_data_events(time_limit=1)
say(answers)
asking.close()
refused("replies with acks", lambda c: c.basic_consume("amq.rabbitmq.reply-to", print))

heading("cancelled by the broker")
watching, cancelled = connection.channel(), []
watching.add_on_cancel_callback(lambda frame: cancelled.append(frame.method.consumer_tag))
watching.basic_consume(full, lambda *delivery: say("came", delivery[3].decode()), consumer_tag="watch", auto_ack=False, exclusive=True)
refused("exclusive use", lambda channel: channel.basic_consume(full, print))
refused("in use", lambda channel: channel.queue_delete(full, if_unused=True))
channel.queue_delete(full)
for _ in range(50):
    connection.process_data_events(time_limit=0.02)
say(cancelled)

heading("clean up")
clean()
say("left", channel.queue_declare("", exclusive=True).method.message_count)
connection.close()
broken = pika.BlockingConnection(pika.URLParameters(sys.argv[1]))
try:
    # Two consumers of one tag: pika would not let that pass by its own methods.
    channel = broken.channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    for _ in range(2):
        channel._impl._rpc(pika.spec.Basic.Consume(queue=queue, consumer_tag="t", nowait=True))
    for _ in range(100):
        broken.process_data_events(time_limit=0.05)
    say("not closed")
except AMQPError as error:
    say(type(error).__name__, *error.args)
wrong = pika.URLParameters(sys.argv[1])
wrong.credentials = pika.PlainCredentials("guest", "wrong")
try:
    pika.BlockingConnection(wrong)
except AMQPError as error:
    say(type(error).__name__, *error.args)
