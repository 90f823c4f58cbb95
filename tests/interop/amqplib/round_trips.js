// Round trips of amqplib's, through the broker whose URL is the argument; what it is told goes to stdout.
'use strict';

const amqp = require('amqplib');
const { once } = require('node:events');
const { setTimeout: sleep } = require('node:timers/promises');

const NAME = 'interop-amqplib';
const url = process.argv[2];
const say = (...what) => console.log(...what.map((one) => (typeof one === 'string' ? one : JSON.stringify(one))));
const heading = (title) => console.log(`== ${title}`);

// Each of a table on a line, deaths one by one.
function headers(table) {
  for (const key of Object.keys(table ?? {}).sort()) {
    if (key !== 'x-death') {
      say('  header:', key, table[key]);
      continue;
    }
    for (const death of table[key]) {
      for (const field of Object.keys(death).sort()) say('  death:', field, field === 'time' ? 'TIME' : death[field]);
    }
  }
}

// What the broker closes a channel with.
async function refused(connection, title, attempt) {
  const channel = await connection.createChannel();
  let said;
  channel.on('error', (error) => (said = error));
  try {
    await attempt(channel);
    await channel.close();
    say(title, 'no error');
  } catch (error) {
    say(title, (said ?? error).message);
  }
}

// A message that may still be on its way.
async function got(channel, queue, options = { noAck: true }) {
  for (let n = 0; n < 200; n++) {
    const message = await channel.get(queue, options);
    if (message) return message;
    await sleep(20);
  }
  throw new Error(`nothing in ${queue}`);
}

async function main() {
  const connection = await amqp.connect(url);
  const channel = await connection.createConfirmChannel();
  const [work, dead, short, lone] = ['work', 'dead', 'short', 'lone'].map((name) => `${NAME}-${name}`);
  const [topic, byHeaders] = ['topic', 'headers'].map((name) => `${NAME}-${name}`);
  const clean = async () => {
    for (const queue of [work, dead, short, lone]) say('deleted', await channel.deleteQueue(queue));
    for (const exchange of [topic, byHeaders]) await channel.deleteExchange(exchange);
  };
  await clean();

  heading('declare and bind');
  say(await channel.assertExchange(topic, 'topic', { durable: false }));
  await channel.assertExchange(byHeaders, 'headers', { alternateExchange: topic });
  say(await channel.assertQueue(work, { durable: true }));
  say(await channel.assertQueue(dead, { durable: false }));
  await channel.bindQueue(work, topic, '#.error');
  await channel.bindQueue(work, topic, 'kern.*');
  await channel.bindQueue(work, byHeaders, '', { 'x-match': 'all', a: 1, b: true });
  await channel.bindExchange(topic, byHeaders, '', { a: 2 });
  const made = await channel.assertQueue('', { exclusive: true });
  say(made.queue.startsWith('amq.gen-'), made.queue.length);
  await refused(connection, 'missing', (c) => c.checkQueue('no-such-queue'));
  await refused(connection, 'missing', (c) => c.checkExchange('no-such-exchange'));
  await refused(connection, 'another type', (c) => c.assertExchange(topic, 'direct', { durable: false }));
  await refused(connection, 'argument', (c) => c.assertQueue(`${NAME}-bad`, { maxPriority: 256 }));
  await refused(connection, 'argument', (c) => c.assertQueue(`${NAME}-bad`, { deadLetterRoutingKey: 'k' }));
  await refused(connection, 'missing', (c) => c.bindQueue(work, 'no-such-exchange', ''));
  await refused(connection, 'prefix', (c) => c.assertExchange('amq.mine', 'direct'));

  heading('publish with confirms');
  const options = {
    persistent: true, contentType: 'text/plain', contentEncoding: 'identity', priority: 4, correlationId: 'c',
    replyTo: 'r', messageId: 'm', timestamp: 1234567890, type: 't', userId: 'guest', appId: 'a',
    headers: { text: 'é', number: -7, big: 4294967296, real: 2.5, no: false, list: [1, 'a', null], table: { k: 'v' } },
  };
  for (const key of ['kern.info', 'a.b.error', 'error', 'kern.a.b']) {
    channel.publish(topic, key, Buffer.from(key), options);
  }
  channel.publish(byHeaders, 'none', Buffer.from('all'), { headers: { a: 1, b: true, c: 3 } });
  channel.publish(byHeaders, 'kern.log', Buffer.from('onward'), { headers: { a: 2 } });
  channel.publish(byHeaders, 'kern.rest', Buffer.from('rest'), { headers: { a: 3 } });
  channel.sendToQueue(work, Buffer.alloc(300_000, 7));
  await channel.waitForConfirms();
  say(await channel.checkQueue(work));
  const internal = (c) => c.publish('no-such-exchange', '', Buffer.from('')) && c.checkQueue(work);
  await refused(connection, 'publish to missing', internal);
  await refused(connection, 'expiration', (c) => {
    c.sendToQueue(work, Buffer.from(''), { expiration: 'soon' });
    return c.checkQueue(work);
  });

  heading('mandatory');
  const order = [];
  channel.once('return', (message) => {
    const { replyCode, replyText, exchange, routingKey } = message.fields;
    order.push(['returned', replyCode, replyText, exchange, routingKey, message.content.toString()]);
  });
  channel.publish(topic, 'nowhere', Buffer.from('back'), { mandatory: true }, (error) => order.push(['confirmed', error]));
  await channel.waitForConfirms();
  say(order);

  heading('get');
  let message = await got(channel, work, {});
  const { deliveryTag, redelivered, exchange, routingKey, messageCount } = message.fields;
  say(deliveryTag, redelivered, exchange, routingKey, messageCount, message.content.toString());
  for (const key of Object.keys(message.properties).sort()) {
    if (key === 'headers') headers(message.properties.headers);
    else say(key, message.properties[key] ?? null);
  }
  channel.nack(message);
  message = await got(channel, work, {});
  say(message.fields.redelivered, message.fields.routingKey);
  channel.ack(message);
  say('empty', await channel.get(made.queue));
  await refused(connection, 'ack twice', async (c) => {
    const message = await c.get(work);
    c.ack(message);
    c.ack(message);
    return c.checkQueue(work);
  });

  heading('consume');
  await channel.prefetch(3);
  const seen = [];
  const { consumerTag } = await channel.consume(
    work,
    (message) => {
      seen.push([message.fields.consumerTag, message.fields.redelivered, message.fields.routingKey, message.content.length]);
      if (seen.length === 1) channel.nack(message, false, true);
      // With all before it.
      else if (seen.length === 6) channel.ack(message, true);
      else if (seen.length < 4) channel.ack(message);
    },
    { consumerTag: 'tag' },
  );
  while (seen.length < 6) await sleep(10);
  await sleep(50);
  say((await channel.cancel(consumerTag)).consumerTag);
  for (const one of seen) say(one);
  say(await channel.checkQueue(work));

  heading('dead letters');
  await channel.assertQueue(short, { messageTtl: 40, maxLength: 2, deadLetterExchange: topic });
  await channel.bindQueue(dead, topic, short);
  await channel.bindQueue(dead, topic, 'copied');
  const died = async (title) => {
    const message = await got(channel, dead);
    say(title, message.fields.exchange, message.fields.routingKey, message.content.toString(), message.properties.expiration ?? null);
    headers(message.properties.headers);
  };
  channel.sendToQueue(short, Buffer.from('by the queue'), { CC: ['copied'], BCC: 'hidden' });
  await died('expired');
  for (const body of ['1', '2', '3']) channel.sendToQueue(short, Buffer.from(body), { expiration: 1000 });
  for (let n = 0; n < 3; n++) await died('dead');
  channel.sendToQueue(short, Buffer.from('rejected'));
  await channel.waitForConfirms();
  message = await got(channel, short, {});
  channel.reject(message, false);
  await died('rejected');

  heading('limits');
  await channel.assertQueue(lone, { arguments: { 'x-max-length-bytes': 10, 'x-overflow': 'reject-publish' } });
  for (let n = 0; n < 3; n++) {
    await new Promise((done) => channel.sendToQueue(lone, Buffer.alloc(6), {}, (error) => done(say(error?.message ?? 'taken'))));
  }
  await channel.purgeQueue(lone).then(say);

  heading('cancelled by the broker');
  const cancelled = new Promise((done) => channel.consume(lone, done, { exclusive: true }));
  await sleep(50);
  await refused(connection, 'exclusive use', (c) => c.consume(lone, () => {}));
  say(await channel.deleteQueue(lone), await cancelled);

  heading('direct reply-to');
  const answered = new Promise((done) => channel.consume('amq.rabbitmq.reply-to', done, { noAck: true }));
  channel.sendToQueue(work, Buffer.from('ask'), { replyTo: 'amq.rabbitmq.reply-to', correlationId: '1' });
  message = await got(channel, work);
  say(message.properties.replyTo.startsWith('amq.rabbitmq.reply-to.'));
  channel.sendToQueue(message.properties.replyTo, Buffer.from('answer'), { correlationId: '1' });
  message = await answered;
  say(message.content.toString(), message.properties.correlationId, message.fields.exchange);

  heading('recover');
  channel.sendToQueue(work, Buffer.from('m'));
  await channel.waitForConfirms();
  await got(channel, work, {});
  await channel.recover();
  say((await got(channel, work)).fields.redelivered);

  heading('clean up');
  await clean();
  await connection.close();
  const broken = await amqp.connect(url);
  const closed = new Promise((done) => broken.on('error', (error) => done(error.message)));
  const one = await broken.createChannel();
  one.on('error', () => {});
  // Not by publish(), which never sets it.
  one.sendMessage({ exchange: '', routingKey: 'k', immediate: true }, { headers: {} }, Buffer.from(''));
  await one.checkExchange('amq.topic').catch(() => {});
  say(await Promise.race([closed, sleep(1000, 'not closed')]));
  const wrong = new URL(url);
  wrong.password = 'wrong';
  await amqp.connect(wrong.href).catch((error) => say(error.message));
  wrong.password = 'guest';
  wrong.pathname = '/no-such-vhost';
  await amqp.connect(wrong.href).catch((error) => say(error.message));
}

main().catch((error) => {
  console.log(error);
  process.exit(1);
});
