"""Round trips of aio-pika's, through the broker whose URL is the argument; what it is told goes to stdout."""

import asyncio
import sys

import aio_pika
import aiormq
from aio_pika import DeliveryMode, ExchangeType, Message

from transcript import heading, headers, say

NAME = "interop-aio-pika"


async def refused(connection, title, attempt):
    """What the broker closes a channel with."""
    channel = await connection.channel(publisher_confirms=False)
    try:
        await attempt(channel)
        say(title, "no error")
    except aiormq.exceptions.ChannelClosed as error:
        say(title, type(error).__name__, *map(str, error.args))


async def got(queue, no_ack=True):
    """A message that may still be on its way."""
    for _ in range(200):
        message = await queue.get(no_ack=no_ack, fail=False)
        if message is not None:
            return message
        await asyncio.sleep(0.02)
    raise AssertionError(f"nothing in {queue}")


async def main(url):
    connection = await aio_pika.connect(url)
    channel = await connection.channel(publisher_confirms=True, on_return_raises=True)

    async def clean():
        for name in ("work", "dead", "short"):
            await channel.queue_delete(f"{NAME}-{name}")
        for name in ("topic", "delayed"):
            await channel.exchange_delete(f"{NAME}-{name}")

    await clean()

    heading("declare and bind")
    topic = await channel.declare_exchange(f"{NAME}-topic", ExchangeType.TOPIC, durable=True)
    onward = await channel.declare_exchange(f"{NAME}-delayed", ExchangeType.DIRECT, auto_delete=True)
    await onward.bind(topic, "on.#")
    work = await channel.declare_queue(f"{NAME}-work", durable=True, arguments={"x-max-priority": 5})
    dead = await channel.declare_queue(f"{NAME}-dead")
    await work.bind(topic, "*.high")
    await work.bind(topic, "*.low")
    await dead.bind(onward, "on.and.on")
    for queue in (work, dead):
        declared = queue.declaration_result
        say("declared", declared.queue, declared.message_count, declared.consumer_count)
    await refused(connection, "missing", lambda c: c.declare_queue("no-such-queue", passive=True))
    await refused(connection, "missing", lambda c: c.get_exchange("no-such-exchange", ensure=True))
    await refused(connection, "auto-delete", lambda c: c.declare_queue(dead.name, auto_delete=True))
    await refused(
        connection,
        "argument",
        lambda c: c.declare_queue("interop-bad", arguments={"x-expires": 0}),
    )
    await refused(
        connection,
        "argument",
        lambda c: c.declare_queue("interop-bad", arguments={"x-message-ttl": "soon"}),
    )
    await refused(connection, "default exchange", lambda c: c.default_exchange.delete())

    heading("publish with confirms")
    for number, key in enumerate(("a.low", "b.high", "c.low", "d.high", "on.and.on")):
        message = Message(
            f"message {number}".encode(),
            headers={"number": number, "nested": {"list": [1, 2.5, None, True]}},
            priority=9 if key.endswith("high") else 1,
            delivery_mode=DeliveryMode.PERSISTENT,
            content_type="text/plain",
        )
        confirmed = await topic.publish(message, key)
        say(key, type(confirmed).__name__)
    confirmations = [channel.default_exchange.publish(Message(b"x" * 100), dead.name) for _ in range(100)]
    say(len([one for one in await asyncio.gather(*confirmations) if one]))
    for name in (work.name, dead.name):
        declared = (await channel.declare_queue(name, passive=True)).declaration_result
        say("ready", declared.queue, declared.message_count)

    heading("mandatory")
    try:
        await topic.publish(Message(b"back", message_id="m"), "nowhere")
        say("not returned")
    except aio_pika.exceptions.DeliveryError as error:
        method = error.message.delivery
        say(method.reply_code, method.reply_text, method.exchange, method.routing_key)
        say(error.message.body.decode(), error.message.header.properties.message_id)
    say(await topic.publish(Message(b"gone"), "nowhere", mandatory=False) is not None)

    heading("get")
    message = await got(work, no_ack=False)
    say(message.routing_key, message.priority, message.redelivered, message.message_count)
    say(message.body.decode(), message.delivery_mode, message.content_type)
    headers(message.headers)
    await message.nack(requeue=True)
    message = await got(work, no_ack=False)
    say(message.body.decode(), message.redelivered)
    await message.ack()
    empty = await channel.declare_queue(exclusive=True)
    say("empty", await empty.get(fail=False))

    heading("consume")
    await channel.set_qos(prefetch_count=1)
    async with work.iterator(consumer_tag="tag") as messages:
        number = 0
        async for message in messages:
            number += 1
            say(message.consumer_tag, message.routing_key, message.redelivered, message.body.decode())
            if number == 2:
                await message.reject(requeue=True)
            else:
                await message.ack()
            if number == 4:
                break
    say("purged", (await dead.purge()).message_count)

    heading("dead letters")
    short = await channel.declare_queue(
        f"{NAME}-short",
        arguments={
            "x-message-ttl": 40,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": dead.name,
        },
    )
    # From dead to short and back, by hand: whether counts go up is up to the broker's version.
    await channel.default_exchange.publish(Message(b"round"), short.name)
    for _ in range(2):
        message = await got(dead)
        say(message.exchange or "''", message.routing_key, message.body.decode())
        headers(message.headers)
        again = Message(message.body, headers=message.headers, expiration=0.005)
        await channel.default_exchange.publish(again, short.name)
    await asyncio.sleep(0.1)
    message = await dead.get(no_ack=True, fail=False)
    headers(message and message.headers)

    heading("transactions")
    plain = await connection.channel(publisher_confirms=False)
    async with plain.transaction():
        await plain.default_exchange.publish(Message(b"one"), work.name)
        await plain.default_exchange.publish(Message(b"two"), work.name)
    declared = await channel.declare_queue(work.name, passive=True)
    say("committed", declared.declaration_result.message_count)
    try:
        async with plain.transaction():
            await plain.default_exchange.publish(Message(b"three"), work.name)
            raise KeyError
    except KeyError:
        declared = await channel.declare_queue(work.name, passive=True)
        say("rolled back", declared.declaration_result.message_count)
    await plain.close()

    heading("remote calls")
    served = await connection.channel()

    async def double(*, number):
        return number * 2

    master = await aio_pika.patterns.JsonRPC.create(served)
    await master.register("interop-double", double, auto_delete=True)
    say(await master.call("interop-double", {"number": 21}))
    await master.close()
    await served.close()

    heading("exclusive")
    other = await aio_pika.connect(url)
    locked = await channel.declare_queue(f"{NAME}-locked", exclusive=True)
    await refused(other, "locked", lambda c: c.get_queue(locked.name, ensure=True))
    came = asyncio.Queue()
    holding = await work.consume(came.put, exclusive=True, consumer_tag="holding")
    say((await came.get()).body.decode())
    await refused(other, "in use", lambda c: c.declare_queue(work.name, passive=True))

    async def consume(channel):
        queue = await channel.get_queue(work.name, ensure=False)
        await queue.consume(came.put)

    await refused(other, "exclusive use", consume)
    await work.cancel(holding)
    await other.close()

    heading("clean up")
    await clean()
    await connection.close()


asyncio.run(main(sys.argv[1]))
