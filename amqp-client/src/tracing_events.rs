//! What the client tells by the `tracing` crate, with the feature `tracing`, which is on by default.
//!
//! Events are for people who watch a program run, and for what counts them; nothing has to be read from
//! them, as all that matters to the program comes as a result, an outcome or an item of a stream. Their
//! names and fields are stable; their target is `amqp091_client`. None ever holds a body, a header, a
//! property, a password or a token.
//!
//! | name | level | when | fields |
//! |---|---|---|---|
//! | `amqp.tls.established` | DEBUG | the TLS session stands | `host` |
//! | `amqp.connection.tuned` | DEBUG | both sides have agreed on limits | `channel_max` `frame_max` `heartbeat_s` |
//! | `amqp.connection.opened` | INFO | the connection can be used | `virtual_host` |
//! | `amqp.connection.blocked` | WARN | the server takes no messages for now | `reason` |
//! | `amqp.connection.unblocked` | INFO | it takes them again | `blocked_ms` |
//! | `amqp.connection.closed` | INFO | this program has closed the connection | `reason` |
//! | `amqp.connection.lost` | WARN | it has ended in any other way | `code` `reason` |
//! | `amqp.heartbeat.missed` | WARN | the server is silent: the connection is lost | `silence_ms` |
//! | `amqp.channel.opened` | DEBUG | the channel can be used | `channel` |
//! | `amqp.channel.reopened` | INFO | it can be used again | `channel` `restored` `failed` |
//! | `amqp.channel.closed` | DEBUG | this program has closed it | `channel` `reason` |
//! | `amqp.channel.failed` | WARN | it was closed for another reason | `channel` `code` `reason` |
//! | `amqp.consumer.started` | DEBUG | the server has agreed to a consumer | `channel` `consumer_tag` |
//! | `amqp.consumer.cancelled` | DEBUG | this program has cancelled it | `channel` `consumer_tag` |
//! | `amqp.consumer.lost` | WARN | the server has cancelled it | `channel` `consumer_tag` |
//! | `amqp.message.returned` | DEBUG | a message came back | `channel` `code` `exchange` `routing_key` |
//! | `amqp.message.nacked` | DEBUG | the server couldn't take messages | `channel` `delivery_tag` `multiple` |
//! | `amqp.confirm.overdue` | WARN | confirms didn't come in time | `channel` `count` |
//! | `amqp.window.dropped` | WARN | a confirm window went, with messages whose fate nobody has looked at | `channel` `failed` `outstanding` |
//!
//! All but the first have the field `connection`, a number that tells this process's connections apart.
//! `code` is the server's reply code, or 0. What happens to channels and consumers because their
//! connection ends is not told again for each.
//!
//! Connecting is the span `amqp.connect` (INFO, without fields).
