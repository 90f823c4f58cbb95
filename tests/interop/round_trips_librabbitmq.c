/* Round trips of librabbitmq's, through the broker on the port that is the argument; what it is told goes
 * to stdout. */
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WORK "interop-librabbitmq-work"
#define DEAD "interop-librabbitmq-dead"
#define SHORT "interop-librabbitmq-short"
#define TOPIC "interop-librabbitmq-topic"

static amqp_connection_state_t connection;

static amqp_bytes_t text(const char *what) { return amqp_cstring_bytes(what); }

static amqp_connection_state_t connect_as(int port, const char *password) {
  amqp_connection_state_t state = amqp_new_connection();
  if (amqp_socket_open(amqp_tcp_socket_new(state), "127.0.0.1", port)) exit(2);
  amqp_rpc_reply_t reply = amqp_login(state, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", password);
  if (reply.reply_type == AMQP_RESPONSE_NORMAL) return state;
  if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION) {
    amqp_connection_close_t *close = reply.reply.decoded;
    printf("refused %d %.*s\n", close->reply_code, (int)close->reply_text.len, (char *)close->reply_text.bytes);
  } else {
    printf("refused: %s\n", amqp_error_string2(reply.library_error));
  }
  amqp_destroy_connection(state);
  return NULL;
}

/* What the broker said to the last call; a channel that it closed is open again afterwards. */
static void result(const char *title, amqp_channel_t channel) {
  amqp_rpc_reply_t reply = amqp_get_rpc_reply(connection);
  if (reply.reply_type == AMQP_RESPONSE_NORMAL) {
    printf("%s: fine\n", title);
  } else if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
    amqp_channel_close_t *close = reply.reply.decoded;
    printf("%s: %d %.*s, failing %d.%d\n", title, close->reply_code, (int)close->reply_text.len,
           (char *)close->reply_text.bytes, close->class_id, close->method_id);
    amqp_channel_close_ok_t ok;
    memset(&ok, 0, sizeof ok);
    amqp_send_method(connection, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
    amqp_maybe_release_buffers_on_channel(connection, channel);
    amqp_channel_open(connection, channel);
  } else {
    printf("%s: broken, %s\n", title, amqp_error_string2(reply.library_error));
    exit(1);
  }
}

static void print_field(const char *name, amqp_field_value_t *value) {
  if (!strcmp(name, "time")) {
    printf("  %s: TIME\n", name);
  } else if (value->kind == AMQP_FIELD_KIND_UTF8) {
    printf("  %s: %.*s\n", name, (int)value->value.bytes.len, (char *)value->value.bytes.bytes);
  } else if (value->kind == AMQP_FIELD_KIND_ARRAY) {
    printf("  %s: array of %d\n", name, value->value.array.num_entries);
    for (int i = 0; i < value->value.array.num_entries; i++) print_field("  one", &value->value.array.entries[i]);
  } else if (value->kind == AMQP_FIELD_KIND_TABLE) {
    for (int i = 0; i < value->value.table.num_entries; i++) {
      char key[256];
      amqp_table_entry_t *entry = &value->value.table.entries[i];
      snprintf(key, sizeof key, "%.*s", (int)entry->key.len, (char *)entry->key.bytes);
      print_field(key, &entry->value);
    }
  } else {
    long long number = value->kind == AMQP_FIELD_KIND_I32 ? value->value.i32 : (long long)value->value.i64;
    printf("  %s: %c %lld\n", name, value->kind, number);
  }
}

static void print_headers(amqp_basic_properties_t *properties) {
  if (properties->_flags & AMQP_BASIC_HEADERS_FLAG) {
    amqp_field_value_t table = {.kind = AMQP_FIELD_KIND_TABLE, .value.table = properties->headers};
    print_field("headers", &table);
  }
}

/* Gets a message, which may still be on its way; answers its delivery tag, 0 when there was none. */
static uint64_t get(const char *queue, int no_ack) {
  for (int attempt = 0; attempt < 100; attempt++) {
    amqp_rpc_reply_t reply = amqp_basic_get(connection, 1, text(queue), no_ack);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) break;
    if (reply.reply.id == AMQP_BASIC_GET_OK_METHOD) {
      amqp_basic_get_ok_t *ok = reply.reply.decoded;
      uint64_t tag = ok->delivery_tag;
      printf("got from '%.*s' by %.*s, redelivered %d, %u more: ", (int)ok->exchange.len, (char *)ok->exchange.bytes,
             (int)ok->routing_key.len, (char *)ok->routing_key.bytes, ok->redelivered, ok->message_count);
      amqp_message_t message;
      amqp_read_message(connection, 1, &message, 0);
      printf("%zu octets, %.*s\n", message.body.len, message.body.len > 40 ? 10 : (int)message.body.len,
             (char *)message.body.bytes);
      print_headers(&message.properties);
      amqp_destroy_message(&message);
      return tag;
    }
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
  }
  printf("got nothing\n");
  return 0;
}

static amqp_table_entry_t string_entry(const char *key, const char *value) {
  amqp_table_entry_t entry = {.key = text(key)};
  entry.value.kind = AMQP_FIELD_KIND_UTF8;
  entry.value.value.bytes = text(value);
  return entry;
}

static amqp_table_entry_t number_entry(const char *key, int value) {
  amqp_table_entry_t entry = {.key = text(key)};
  entry.value.kind = AMQP_FIELD_KIND_I32;
  entry.value.value.i32 = value;
  return entry;
}

static uint64_t published, confirmed[64];

static int is_outstanding(void) {
  for (uint64_t tag = 1; tag <= published; tag++) {
    if (!confirmed[tag]) return 1;
  }
  return 0;
}

/* Waits until all that was published is confirmed, in whatever order; prints what is returned. */
static void wait_for_confirms(void) {
  while (is_outstanding()) {
    amqp_frame_t frame;
    if (amqp_simple_wait_frame(connection, &frame) || frame.frame_type != AMQP_FRAME_METHOD) continue;
    if (frame.payload.method.id == AMQP_BASIC_ACK_METHOD) {
      amqp_basic_ack_t *ack = frame.payload.method.decoded;
      for (uint64_t tag = ack->multiple ? 1 : ack->delivery_tag; tag <= ack->delivery_tag; tag++) confirmed[tag] = 1;
    } else if (frame.payload.method.id == AMQP_BASIC_RETURN_METHOD) {
      amqp_basic_return_t *back = frame.payload.method.decoded;
      printf("returned %d %.*s '%.*s' %.*s\n", back->reply_code, (int)back->reply_text.len,
             (char *)back->reply_text.bytes, (int)back->exchange.len, (char *)back->exchange.bytes,
             (int)back->routing_key.len, (char *)back->routing_key.bytes);
      amqp_message_t message;
      amqp_read_message(connection, frame.channel, &message, 0);
      printf("  %.*s\n", (int)message.body.len, (char *)message.body.bytes);
      amqp_destroy_message(&message);
    }
  }
  printf("confirmed up to %llu\n", (unsigned long long)published);
}

static void publish(const char *exchange, const char *key, int mandatory, amqp_bytes_t body, const char *expiration) {
  amqp_table_entry_t entries[] = {string_entry("text", "value"), number_entry("number", -5)};
  amqp_basic_properties_t properties;
  memset(&properties, 0, sizeof properties);
  properties._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_HEADERS_FLAG;
  properties.content_type = text("text/plain");
  properties.delivery_mode = 2;
  properties.headers = (amqp_table_t){2, entries};
  if (expiration) {
    properties._flags |= AMQP_BASIC_EXPIRATION_FLAG;
    properties.expiration = text(expiration);
  }
  amqp_basic_publish(connection, 1, text(exchange), text(key), mandatory, 0, &properties, body);
  published++;
}

int main(int count, char **arguments) {
  if (count != 2) return 2;
  int port = atoi(arguments[1]);
  setvbuf(stdout, NULL, _IOLBF, 0);
  connection = connect_as(port, "guest");
  if (!connection) return 2;
  printf("== tuned: %d channels, frames of %d, heartbeat %d\n", amqp_get_channel_max(connection),
         amqp_get_frame_max(connection), amqp_get_heartbeat(connection));
  amqp_channel_open(connection, 1);
  amqp_channel_open(connection, 2);
  const char *queues[] = {WORK, DEAD, SHORT};
  for (int i = 0; i < 3; i++) amqp_queue_delete(connection, 1, text(queues[i]), 0, 0);
  amqp_exchange_delete(connection, 1, text(TOPIC), 0);

  printf("== declare and bind\n");
  amqp_exchange_declare(connection, 1, text(TOPIC), text("topic"), 0, 1, 0, 0, amqp_empty_table);
  result("exchange", 1);
  amqp_queue_declare(connection, 1, text(WORK), 0, 1, 0, 0, amqp_empty_table);
  amqp_queue_declare(connection, 1, text(DEAD), 0, 1, 0, 0, amqp_empty_table);
  amqp_table_entry_t dying[] = {number_entry("x-message-ttl", 40), string_entry("x-dead-letter-exchange", ""),
                                string_entry("x-dead-letter-routing-key", DEAD)};
  amqp_queue_declare(connection, 1, text(SHORT), 0, 1, 0, 0, (amqp_table_t){3, dying});
  result("queue", 1);
  amqp_queue_bind(connection, 1, text(WORK), text(TOPIC), text("a.*.c"), amqp_empty_table);
  result("bind", 1);
  amqp_queue_declare(connection, 2, text("no-such-queue"), 1, 0, 0, 0, amqp_empty_table);
  result("passive", 2);
  amqp_queue_declare(connection, 2, text(WORK), 0, 1, 0, 1, amqp_empty_table);
  result("otherwise", 2);
  amqp_queue_declare(connection, 2, text(SHORT), 0, 1, 0, 0, (amqp_table_t){2, dying});
  result("with fewer arguments", 2);
  amqp_queue_bind(connection, 2, text(WORK), text("no-such-exchange"), text("k"), amqp_empty_table);
  result("bind to nothing", 2);
  amqp_basic_qos(connection, 2, 0, 0, 0);
  result("qos", 2);
  amqp_tx_commit(connection, 2);
  result("commit without select", 2);

  printf("== publish with confirms\n");
  amqp_confirm_select(connection, 1);
  result("select", 1);
  char *large = calloc(1, 400000);
  publish(TOPIC, "a.b.c", 1, text("first"), NULL);
  publish(TOPIC, "a.c", 1, text("back"), NULL);
  publish(TOPIC, "a..c", 1, text("second"), NULL);
  publish("", WORK, 1, (amqp_bytes_t){400000, large}, NULL);
  wait_for_confirms();
  amqp_queue_declare_ok_t *declared = amqp_queue_declare(connection, 1, text(WORK), 1, 0, 0, 0, amqp_empty_table);
  printf("%u ready, %u consumers\n", declared->message_count, declared->consumer_count);

  printf("== get\n");
  uint64_t tag = get(WORK, 0);
  amqp_basic_nack(connection, 1, tag, 0, 1);
  tag = get(WORK, 0);
  amqp_basic_ack(connection, 1, tag, 0);
  amqp_basic_ack(connection, 2, 42, 0);
  amqp_basic_qos(connection, 2, 0, 1, 0);
  result("unknown tag", 2);

  printf("== consume\n");
  amqp_channel_open(connection, 3);
  amqp_basic_qos(connection, 3, 0, 1, 0);
  amqp_basic_consume(connection, 3, text(WORK), text("tag"), 0, 0, 0, amqp_empty_table);
  result("consume", 3);
  for (int i = 0; i < 3; i++) {
    amqp_envelope_t envelope;
    amqp_maybe_release_buffers(connection);
    amqp_rpc_reply_t reply = amqp_consume_message(connection, &envelope, NULL, 0);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) return 3;
    printf("%.*s %llu redelivered %d, %zu octets\n", (int)envelope.consumer_tag.len,
           (char *)envelope.consumer_tag.bytes, (unsigned long long)envelope.delivery_tag, envelope.redelivered,
           envelope.message.body.len);
    if (i == 0) amqp_basic_reject(connection, 3, envelope.delivery_tag, 1);
    else amqp_basic_ack(connection, 3, envelope.delivery_tag, 0);
    amqp_destroy_envelope(&envelope);
  }
  amqp_basic_cancel(connection, 3, text("tag"));
  result("cancel", 3);

  printf("== dead letters\n");
  publish("", SHORT, 0, text("by the queue"), NULL);
  wait_for_confirms();
  get(DEAD, 1);
  publish("", SHORT, 0, text("by itself"), "5");
  wait_for_confirms();
  get(DEAD, 1);

  printf("== clean up\n");
  for (int i = 0; i < 3; i++) {
    amqp_queue_delete_ok_t *deleted = amqp_queue_delete(connection, 1, text(queues[i]), 0, 0);
    printf("%u deleted\n", deleted ? deleted->message_count : 0);
  }
  amqp_exchange_delete(connection, 1, text(TOPIC), 0);
  result("exchange", 1);
  amqp_basic_publish(connection, 2, text("no-such-exchange"), text("k"), 0, 0, NULL, text("m"));
  amqp_basic_qos(connection, 2, 0, 1, 0);
  result("publish to nothing", 2);
  amqp_connection_close(connection, AMQP_REPLY_SUCCESS);
  amqp_destroy_connection(connection);
  connect_as(port, "wrong");
  free(large);
  return 0;
}
