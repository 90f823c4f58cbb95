//! What random programs found of quorum queues: each is where the embedded broker once differed from RabbitMQ.

dialogue!(
    what_other_types_of_queues_have_is_not_looked_at,
    "
0 declare q0 x-max-length=-1 x-delivery-limit=text
  0: 406 PRECONDITION_FAILED - invalid arg 'x-max-length' for queue 'q0' in vhost '/': {value_negative,-1}
0 declare q0 x-max-length=1 x-delivery-limit=text
  0: 406 PRECONDITION_FAILED - invalid arg 'x-delivery-limit' for queue 'q0' in vhost '/' of queue type rabbit_classic_queue
0 declare q0 x-max-age=1
  0: 406 PRECONDITION_FAILED - invalid arg 'x-max-age' for queue 'q0' in vhost '/' of queue type rabbit_classic_queue
0 declare q0 durable x-queue-type=quorum x-queue-mode=nope
  0: 406 PRECONDITION_FAILED - invalid arg 'x-queue-mode' for queue 'q0' in vhost '/' of queue type rabbit_quorum_queue
0 declare q0 x-message-ttl=long:315360000001
  0: 406 PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue 'q0' in vhost '/': {value_too_large,315360000001}
0 declare q0 x-queue-version=3
  0: 406 PRECONDITION_FAILED - invalid arg 'x-queue-version' for queue 'q0' in vhost '/': \"unsupported queue version '3'\"
0 declare q0 x-dead-letter-exchange=x0 x-dead-letter-routing-key=1
  0: 406 PRECONDITION_FAILED - invalid arg 'x-dead-letter-routing-key' for queue 'q0' in vhost '/': {unacceptable_type,signedint}
"
);

dialogue!(
    one_at_a_time_cannot_be_exclusive,
    "
0 declare q0 x-single-active-consumer=true
0 consume q0 t0 exclusive
  0: 403 ACCESS_REFUSED - queue 'q0' in vhost '/' in exclusive use
0 declare q1 durable x-queue-type=quorum
0 consume q1 t0 exclusive
0 consume q1 t1
0 look
  q0: 0 for 0
  q1: 0 for 2
"
);

dialogue!(
    quorum_queues_are_not_deleted_on_condition,
    "
0 declare q0 durable x-queue-type=quorum
0 delete q0 if-empty
  0: connection closed: 540 NOT_IMPLEMENTED - cannot delete queue 'q0' in vhost '/'. queue.delete operations with if-empty flag set are not supported by quorum queues
0 delete q0 if-unused if-empty
  0: connection closed: 540 NOT_IMPLEMENTED - cannot delete queue 'q0' in vhost '/'. queue.delete operations with if-unused flag set are not supported by quorum queues
0 delete q0
  0: deleted 0
"
);

dialogue!(
    whom_quorum_queues_count,
    "
0 declare q0 durable x-queue-type=quorum x-single-active-consumer=true
0 consume q0 t0
0 consume q0 t1
0 declare q1 durable x-queue-type=quorum
0 publish - q1
0 publish - q1
0 get q1
  0: got m1, 1 more
1 get q1
  1: got m2, 0 more
0 look
  q0: 0 for 1
  q1: 0 for 2
"
);

dialogue!(
    what_a_quorum_queue_gets_back_comes_first_in_the_order_of_its_return,
    "
0 declare q0 durable x-queue-type=quorum x-delivery-limit=5
0 publish - q0
0 publish - q0
0 publish - q0
0 get q0
  0: got m1, 2 more
0 get q0
  0: got m2, 1 more
0 nack 2
0 nack 1
0 get q0 no-ack
  0: got m2 again, 2 more
0 get q0 no-ack
  0: got m1 again, 1 more
0 get q0 no-ack
  0: got m3, 0 more
0 declare q1 durable x-queue-type=quorum
0 publish - q1
0 publish - q1
1 get q1
  1: got m4, 1 more
1 close
0 get q1 no-ack
  0: got m4 again, 1 more
"
);

dialogue!(
    a_quorum_queue_has_room_for_what_goes_on_at_once,
    "
0 declare q0 durable x-queue-type=quorum x-single-active-consumer=true x-max-length=1
0 consume q0 t0
0 publish - q0
  0: t0 m1
0 publish - q0
  0: t0 m2
1 consume q0 t1
0 close
  1: t1 m1 again
  1: t1 m2 again
"
);

dialogue!(
    whoever_left_and_holds_something_is_counted_by_a_quorum_queue,
    "
0 declare q0 durable x-queue-type=quorum
0 consume q0 t0
0 publish - q0
  0: t0 m1
0 cancel t0
0 look
  q0: 0 for 1
0 ack 1
0 look
  q0: 0 for 0
"
);

dialogue!(
    what_comes_back_to_a_quorum_queue_may_have_expired,
    "
0 declare q0 durable x-queue-type=quorum
1 consume q0 t1
0 publish - q0 expiration=0
  1: t1 m1
0 consume q0 t0
1 close
0 look
  q0: 0 for 1
"
);

dialogue!(
    who_is_next_to_be_the_only_one_of_a_quorum_queue,
    "
0 declare q0 durable x-queue-type=quorum x-single-active-consumer=true
0 consume q0 t0
1 consume q0 t1
0 publish - q0
  0: t0 m1
1 consume q0 t2 x-priority=5
0 publish - q0
  3: 0: t0 m2
0 ack 0 multiple
  4: 1: t2 m2
0 publish - q0
  3: 0: t0 m3
  4: 1: t2 m3
0 cancel t0
0 publish - q0
  3: 1: t1 m4
  4: 1: t2 m4
"
);

dialogue!(
    a_quorum_queue_gets_back_what_a_channel_holds_consumer_by_consumer,
    "
0 declare q0 durable x-queue-type=quorum
0 consume q0 t1
0 publish - q0
  0: t1 m1
0 cancel t1
0 consume q0 t0
0 publish - q0
  0: t0 m2
0 cancel t0
0 publish - q0
0 get q0
  0: got m3, 0 more
0 close
0 get q0 no-ack
  0: got m3 again, 2 more
0 get q0 no-ack
  0: got m2 again, 1 more
0 get q0 no-ack
  0: got m1 again, 0 more
"
);

dialogue!(
    where_a_quorum_queue_is_led,
    "
0 declare q0 durable x-queue-type=quorum x-queue-leader-locator=balanced
0 declare q1 durable x-queue-type=quorum x-queue-leader-locator=nowhere
  0: 406 PRECONDITION_FAILED - invalid arg 'x-queue-leader-locator' for queue 'q1' in vhost '/': invalid_queue_locator_arg
"
);

dialogue!(
    a_shared_prefetch_is_not_for_consumers_of_quorum_queues,
    "
0 declare q0 durable x-queue-type=quorum
0 consume q0 t0
0 qos 1 global
0 publish - q0
  0: t0 m1
0 publish - q0
  0: t0 m2
"
);
