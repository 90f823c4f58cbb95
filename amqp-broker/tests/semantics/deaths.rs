//! What a message's history says after several deaths.

dialogue!(
    each_queue_and_reason_has_a_count_the_last_one_first,
    "
0 declare q0 x-dead-letter-exchange= x-dead-letter-routing-key=q1
0 declare q1 x-dead-letter-exchange= x-dead-letter-routing-key=q2 x-max-length=1
0 declare q2 x-dead-letter-exchange= x-dead-letter-routing-key=q0
0 publish - q0
0 get q0
  0: got m1, 0 more
0 reject 1 drop
0 publish - q1
0 get q2
  0: got m1, maxlen 1 q1, rejected 1 q0, 0 more
0 nack 2 drop
0 get q0
  3: 0: got m1, rejected 1 q2, rejected 1 q0, maxlen 1 q1, 0 more
  4: 0: got m1, rejected 1 q2, maxlen 1 q1, rejected 1 q0, 0 more
0 reject 3 drop
0 get q2
  0: got m2, maxlen 1 q1, 0 more
0 ack 4
0 get q1
  3: 0: got m1, rejected 2 q0, maxlen 1 q1, rejected 1 q2, 0 more
  4: 0: got m1, rejected 2 q0, rejected 1 q2, maxlen 1 q1, 0 more
0 reject 5 drop
0 get q2
  3: 0: got m1, rejected 1 q1, rejected 1 q2, maxlen 1 q1, rejected 2 q0, 0 more
  4: 0: got m1, rejected 1 q1, rejected 2 q0, rejected 1 q2, maxlen 1 q1, 0 more
"
);

dialogue!(
    round_in_a_circle_only_where_somebody_wants_it_so,
    "
0 declare q0 x-message-ttl=0 x-dead-letter-exchange= x-dead-letter-routing-key=q1
0 declare q1 x-max-length=1 x-dead-letter-exchange= x-dead-letter-routing-key=q0
0 publish - q0
0 publish - q0
0 get q1
  0: got m2, expired 1 q0, 0 more
0 reject 1 drop
0 get q1
  0: got m2, expired 2 q0, rejected 1 q1, 0 more
0 publish - q1
0 nack 2
0 look
  q0: 0 for 0
  q1: 1 for 0
0 get q1
  3: 0: got m2, expired 3 q0, rejected 1 q1, maxlen 1 q1, 0 more
  4: 0: got m3, 0 more
"
);

dialogue!(
    who_is_refused_dies_too_where_that_is_asked_for,
    "
0 declare q0 x-max-length=1 x-overflow=reject-publish-dlx x-dead-letter-exchange= x-dead-letter-routing-key=q1
0 declare q1
0 declare q2 x-max-length=1 x-overflow=reject-publish x-dead-letter-exchange= x-dead-letter-routing-key=q1
0 confirm
0 publish - q0
  0: confirmed 1
0 publish - q0
  0: refused 2
0 publish - q2
  0: confirmed 3
0 publish - q2
  0: refused 4
0 get q1
  0: got m2, maxlen 1 q0, 0 more
0 look
  q0: 1 for 0
  q1: 0 for 0
  q2: 1 for 0
"
);

dialogue!(
    a_delivery_limit_is_a_reason,
    "
0 declare q0 durable x-queue-type=quorum x-delivery-limit=1 x-dead-letter-exchange= x-dead-letter-routing-key=q1
0 declare q1
0 publish - q0
0 get q0
  0: got m1, 0 more
0 nack 1
0 get q0
  0: got m1 again, 0 more
1 get q0
  1: empty
0 nack 2
0 look
  q0: 0 for 0
  q1: 1 for 0
0 get q1
  0: got m1, delivery_limit 1 q0, 0 more
"
);

dialogue!(
    without_an_acknowledgement_nothing_comes_back,
    "
0 declare q0 x-dead-letter-exchange= x-dead-letter-routing-key=q1
0 declare q1
0 consume q0 t0 no-ack
0 publish - q0
  0: t0 m1
0 close
0 publish - q0
0 get q0 no-ack
  0: got m2, 0 more
0 publish - q0
0 purge q0
  0: purged 1
0 publish - q0
0 delete q0
  0: deleted 1
0 look
  NOT_FOUND - no queue 'q0' in vhost '/'
  q1: 0 for 0
"
);
