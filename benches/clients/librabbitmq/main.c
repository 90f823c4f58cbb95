/* librabbitmq. The same command line, work and line of figures as the other programs (see
 * ../harness/lib.rs); --runtime is ignored: it blocks.
 *
 * Compiled with COUNT_ALLOCATIONS it counts them, and is a program of its own: counting takes time.
 */
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <dirent.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WINDOW = 1000, PREFETCH = 1000, CONNECTIONS = 200, CHANNELS = 1000 };
enum acks { NONE = 0, EACH = 1, HUNDRED = 100 };
enum { OPENS_MIN = 20, OPENS_MAX = 2000 };
static const double PILOT_SECONDS = 0.02, MESSAGES_MAX = 5e6;

#ifdef COUNT_ALLOCATIONS
/* What glibc keeps for this purpose under these names. */
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
static uint64_t allocations;
void *malloc(size_t size) { allocations++; return __libc_malloc(size); }
void *calloc(size_t count, size_t size) { allocations++; return __libc_calloc(count, size); }
void *realloc(void *old, size_t size) { allocations++; return __libc_realloc(old, size); }
#endif

static void die(const char *what) {
  fprintf(stderr, "librabbitmq: %s\n", what);
  exit(1);
}
static void check(int is_good, const char *what) {
  if (!is_good) die(what);
}
static void check_reply(amqp_rpc_reply_t reply, const char *what) {
  check(reply.reply_type == AMQP_RESPONSE_NORMAL, what);
}

static double clock_seconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* --- The client ------------------------------------------------------------------------------ */

static struct amqp_connection_info server;

static amqp_connection_state_t open_connection(void) {
  amqp_connection_state_t connection = amqp_new_connection();
  amqp_socket_t *socket = amqp_tcp_socket_new(connection);
  check(socket && amqp_socket_open(socket, server.host, server.port) == AMQP_STATUS_OK, "connect");
  check_reply(amqp_login(connection, server.vhost, 0, 131072, 60, AMQP_SASL_METHOD_PLAIN,
                         server.user, server.password),
              "login");
  return connection;
}

static void open_channel(amqp_connection_state_t connection, amqp_channel_t channel) {
  check(amqp_channel_open(connection, channel) != NULL, "channel.open");
}

static void close_connection(amqp_connection_state_t connection) {
  amqp_connection_close(connection, AMQP_REPLY_SUCCESS);
  amqp_destroy_connection(connection);
}

static void publish_one(amqp_connection_state_t connection, amqp_bytes_t queue, amqp_bytes_t body) {
  int status = amqp_basic_publish(connection, 1, amqp_empty_bytes, queue, 0, 0, NULL, body);
  check(status == AMQP_STATUS_OK, "basic.publish");
}

static void publish(amqp_connection_state_t connection, amqp_bytes_t queue, amqp_bytes_t body,
                    uint64_t count) {
  for (uint64_t i = 0; i < count; i++) publish_one(connection, queue, body);
  check(amqp_basic_qos(connection, 1, 0, 0, 0) != NULL, "basic.qos");
}

/* Waits for an acknowledgement, which settles one message or all up to it. */
static uint64_t wait_confirm(amqp_connection_state_t connection, uint64_t confirmed) {
  amqp_frame_t frame;
  amqp_maybe_release_buffers(connection);
  check(amqp_simple_wait_frame(connection, &frame) == AMQP_STATUS_OK, "waiting for a confirm");
  if (frame.frame_type != AMQP_FRAME_METHOD) return confirmed;
  check(frame.payload.method.id == AMQP_BASIC_ACK_METHOD, "not an acknowledgement");
  amqp_basic_ack_t *ack = frame.payload.method.decoded;
  return ack->multiple ? ack->delivery_tag : confirmed + 1;
}

static void publish_confirmed(amqp_connection_state_t connection, amqp_bytes_t queue,
                              amqp_bytes_t body, uint64_t count) {
  /* Tags go on where the channel's last run ended. */
  static uint64_t published, confirmed;
  static amqp_connection_state_t last;
  if (last != connection) {
    last = connection;
    published = confirmed = 0;
    check(amqp_confirm_select(connection, 1) != NULL, "confirm.select");
  }
  for (uint64_t i = 0; i < count; i++) {
    while (published - confirmed >= WINDOW) confirmed = wait_confirm(connection, confirmed);
    publish_one(connection, queue, body);
    published++;
  }
  while (confirmed < published) confirmed = wait_confirm(connection, confirmed);
  /* The next connection may lie where this one lay. */
  if (count == 1) last = NULL;
}

static void consume(amqp_connection_state_t connection, amqp_bytes_t queue, uint64_t count,
                    enum acks acks) {
  amqp_bytes_t tag = amqp_cstring_bytes("consumer");
  check(amqp_basic_qos(connection, 1, 0, acks == NONE ? 0 : PREFETCH, 0) != NULL, "basic.qos");
  check(amqp_basic_consume(connection, 1, queue, tag, 0, acks == NONE, 0, amqp_empty_table) != NULL,
        "basic.consume");
  for (uint64_t number = 1; number <= count; number++) {
    amqp_envelope_t envelope;
    amqp_maybe_release_buffers(connection);
    check_reply(amqp_consume_message(connection, &envelope, NULL, 0), "consuming");
    if (acks != NONE && number % acks == 0) {
      check(amqp_basic_ack(connection, 1, envelope.delivery_tag, acks == HUNDRED) == 0, "basic.ack");
    }
    amqp_destroy_envelope(&envelope);
  }
  check(amqp_basic_cancel(connection, 1, tag) != NULL, "basic.cancel");
}

/* --- The command line ------------------------------------------------------------------------ */

static const char *work = "open", *queue_name = "figures";
static double seconds = 0.3;
static uint64_t messages;
static int idle_channels;

static void read_command_line(int count, char **arguments) {
  static char url[256];
  for (int i = 1; i + 1 < count; i += 2) {
    const char *name = arguments[i], *value = arguments[i + 1];
    if (!strcmp(name, "--url")) snprintf(url, sizeof url, "%s", value);
    else if (!strcmp(name, "--work")) work = value;
    else if (!strcmp(name, "--seconds")) seconds = atof(value);
    else if (!strcmp(name, "--messages")) messages = strtoull(value, NULL, 10);
    else if (!strcmp(name, "--queue")) queue_name = value;
    else if (!strcmp(name, "--idle-channels")) idle_channels = atoi(value);
    else if (strcmp(name, "--runtime")) die(name);
  }
  if (!strcmp(work, "version")) return;
  check(amqp_parse_url(url, &server) == AMQP_STATUS_OK, "bad URL");
}

static int threads(void) {
  int count = 0;
  DIR *tasks = opendir("/proc/self/task");
  for (struct dirent *task; (task = readdir(tasks));) count += task->d_name[0] != '.';
  closedir(tasks);
  return count;
}

/* --- Messages -------------------------------------------------------------------------------- */

static void once(amqp_connection_state_t connection, const char *queue, amqp_bytes_t body,
                 uint64_t count) {
  amqp_bytes_t name = amqp_cstring_bytes(queue);
  if (!strncmp(work, "publish", 7)) publish(connection, name, body, count);
  else if (!strncmp(work, "confirm", 7)) publish_confirmed(connection, name, body, count);
  else if (!strncmp(work, "consume", 7)) consume(connection, name, count, NONE);
  else if (!strncmp(work, "ack", 3)) consume(connection, name, count, EACH);
  else if (!strncmp(work, "multiple", 8)) consume(connection, name, count, HUNDRED);
  else die("no such work");
}

static void measure_messages(void) {
  size_t size = strstr(work, "64k") ? 64 * 1024 : 16;
  amqp_bytes_t body = {size, malloc(size)};
  memset(body.bytes, 'x', size);
  amqp_connection_state_t connection = open_connection();
  for (int i = 0; i <= idle_channels; i++) open_channel(connection, (amqp_channel_t)(i + 1));

  uint64_t count = messages ? messages : size > 1024 ? 100 : 1000;
  for (;;) {
    char queue[64];
    if (messages) snprintf(queue, sizeof queue, "%s", queue_name);
    else snprintf(queue, sizeof queue, "%llux%zu", (unsigned long long)count, size);
    double cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID), began = clock_seconds(CLOCK_MONOTONIC);
#ifdef COUNT_ALLOCATIONS
    uint64_t allocated = allocations;
#endif
    once(connection, queue, body, count);
    cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    double took = clock_seconds(CLOCK_MONOTONIC) - began;
    if (messages || took >= seconds / 2 || (double)count >= MESSAGES_MAX) {
      printf("messages=%llu cpu_us=%.4f rate=%.0f threads=%d", (unsigned long long)count,
             cpu * 1e6 / (double)count, (double)count / took, threads());
#ifdef COUNT_ALLOCATIONS
      printf(" allocations=%.3f", (double)(allocations - allocated) / (double)count);
#endif
      printf("\n");
      break;
    }
    double factor = seconds / (took > PILOT_SECONDS ? took : PILOT_SECONDS);
    double wanted = (double)count * (factor > 2 ? factor : 2);
    count = (uint64_t)((wanted < MESSAGES_MAX ? wanted : MESSAGES_MAX) / 100) * 100;
  }
  close_connection(connection);
}

/* --- Opening, and memory --------------------------------------------------------------------- */

static int compare(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

static void measure_open(void) {
  static double took[OPENS_MAX];
  int count = 0;
  amqp_bytes_t queue = amqp_cstring_bytes(queue_name), body = amqp_cstring_bytes("0123456789abcdef");
  double cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID), began = clock_seconds(CLOCK_MONOTONIC);
  for (;;) {
    double spent = clock_seconds(CLOCK_MONOTONIC) - began;
    if (count >= OPENS_MAX || (count >= OPENS_MIN && !messages && spent > seconds) ||
        (messages && count >= OPENS_MIN * 5))
      break;
    double started = clock_seconds(CLOCK_MONOTONIC);
    amqp_connection_state_t connection = open_connection();
    open_channel(connection, 1);
    publish_confirmed(connection, queue, body, 1);
    took[count++] = (clock_seconds(CLOCK_MONOTONIC) - started) * 1e6;
    close_connection(connection);
  }
  cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  qsort(took, (size_t)count, sizeof *took, compare);
  printf("count=%d latency_us=%.1f cpu_us=%.1f\n", count, took[count / 2], cpu * 1e6 / count);
}

static double resident(void) {
  char line[256];
  double kibibytes = 0;
  FILE *rollup = fopen("/proc/self/smaps_rollup", "r");
  while (fgets(line, sizeof line, rollup)) sscanf(line, "Rss: %lf kB", &kibibytes);
  fclose(rollup);
  return kibibytes * 1024;
}

static double allocated_octets(void) {
  struct mallinfo2 heap = mallinfo2();
  return (double)heap.uordblks + (double)heap.hblkhd;
}

static void measure_memory(int of_connections) {
  amqp_connection_state_t connection = open_connection();
  int count = of_connections ? CONNECTIONS : CHANNELS;
  if (!of_connections) open_channel(connection, 1);
  double resident_before = resident(), allocated_before = allocated_octets();
  for (int i = 0; i < count; i++) {
    if (of_connections) open_connection();
    else open_channel(connection, (amqp_channel_t)(i + 2));
  }
  printf("count=%d resident=%.0f threads=0 allocated=%.0f\n", count,
         (resident() - resident_before) / count, (allocated_octets() - allocated_before) / count);
}

int main(int count, char **arguments) {
  read_command_line(count, arguments);
  if (!strcmp(work, "version")) printf("%s\n", amqp_version());
  else if (!strcmp(work, "open")) measure_open();
  else if (!strcmp(work, "connections")) measure_memory(1);
  else if (!strcmp(work, "channels")) measure_memory(0);
  else measure_messages();
  return 0;
}
