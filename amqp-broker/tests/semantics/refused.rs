//! What is refused, in which words, and what ends with it.

dialogue!(
    a_queue_of_another_connection,
    "
0 declare q0 exclusive
0 exchange x0 fanout
2 declare q0 exclusive
  2: 405 RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q0' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.
2 declare q0 passive
  2: 405 RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q0' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.
2 bind q0 x0
  2: 405 RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q0' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.
2 unbind q0 x0
2 get q0
  2: 405 RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q0' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.
2 consume q0 t0
  2: 405 RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q0' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.
2 purge q0
  2: 405 RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q0' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.
2 delete q0
  2: 405 RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q0' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.
2 publish - q0 mandatory
0 look
  q0: 1 for 0
"
);

dialogue!(
    exchanges_that_are_not_alike,
    "
0 exchange x0 direct durable alternate-exchange=x1
0 exchange x0 direct durable alternate-exchange=x1
0 exchange x0 fanout
  0: 406 PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'x0' in vhost '/': received 'fanout' but current is 'direct'
0 exchange x0 direct auto-delete internal
  0: 406 PRECONDITION_FAILED - inequivalent arg 'durable' for exchange 'x0' in vhost '/': received 'false' but current is 'true'
0 exchange x0 direct durable auto-delete internal
  0: 406 PRECONDITION_FAILED - inequivalent arg 'auto_delete' for exchange 'x0' in vhost '/': received 'true' but current is 'false'
0 exchange x0 direct durable internal
  0: 406 PRECONDITION_FAILED - inequivalent arg 'internal' for exchange 'x0' in vhost '/': received 'true' but current is 'false'
0 exchange x0 direct durable
  0: 406 PRECONDITION_FAILED - inequivalent arg 'alternate-exchange' for exchange 'x0' in vhost '/': received none but current is the value 'x1' of type 'longstr'
0 exchange x0 direct durable alternate-exchange=x2
  0: 406 PRECONDITION_FAILED - inequivalent arg 'alternate-exchange' for exchange 'x0' in vhost '/': received 'x2' but current is 'x1'
0 exchange x0 direct passive internal
0 exchange x1 direct alternate-exchange=1
  0: 406 PRECONDITION_FAILED - invalid type 'signedint' for arg 'alternate-exchange' in exchange 'x1' in vhost '/'
"
);

dialogue!(
    queues_that_are_not_alike,
    "
0 declare q0 x-max-priority=3 x-overflow=reject-publish
0 declare q0 x-max-priority=long:3 x-overflow=reject-publish x-unknown=1 x-queue-type=classic
0 declare q0 x-max-priority=3 x-overflow=drop-head
  0: 406 PRECONDITION_FAILED - inequivalent arg 'x-overflow' for queue 'q0' in vhost '/': received 'drop-head' but current is 'reject-publish'
0 declare q0 x-overflow=reject-publish
  0: 406 PRECONDITION_FAILED - inequivalent arg 'x-max-priority' for queue 'q0' in vhost '/': received none but current is the value '3' of type 'signedint'
0 declare q0 x-max-priority=3 x-overflow=reject-publish x-single-active-consumer=true
  0: 406 PRECONDITION_FAILED - inequivalent arg 'x-single-active-consumer' for queue 'q0' in vhost '/': received the value 'true' of type 'bool' but current is none
0 declare q0 x-max-priority=3 x-overflow=reject-publish x-queue-type=quorum
  3: 0: 406 PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q0' in vhost '/': received the value 'quorum' of type 'longstr' but current is none
  4: 0: 406 PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q0' in vhost '/': received 'quorum' but current is 'classic'
0 declare q1 durable x-queue-type=quorum
0 declare q1 durable
  3: 0: 406 PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q1' in vhost '/': received none but current is the value 'quorum' of type 'longstr'
  4: 0: 406 PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q1' in vhost '/': received 'classic' but current is 'quorum'
"
);

dialogue!(
    tags_that_nobody_knows,
    "
0 ack 1
  0: 406 PRECONDITION_FAILED - unknown delivery tag 1
0 nack 7 multiple
  0: 406 PRECONDITION_FAILED - unknown delivery tag 7
0 reject 3
  0: 406 PRECONDITION_FAILED - unknown delivery tag 3
0 ack 0
  0: 406 PRECONDITION_FAILED - unknown delivery tag 0
0 ack 0 multiple
0 nack 0 multiple
0 declare q0
0 publish - q0
0 get q0 no-ack
  0: got m1, 0 more
0 ack 1
  0: 406 PRECONDITION_FAILED - unknown delivery tag 1
0 publish - q0
0 get q0
  0: got m2, 0 more
1 ack 1
  1: 406 PRECONDITION_FAILED - unknown delivery tag 1
0 ack 1
0 ack 1
  0: 406 PRECONDITION_FAILED - unknown delivery tag 1
"
);

dialogue!(
    a_queues_end_is_told_to_those_who_understand_it,
    "
0 declare q0
1 consume q0 t0
2 consume q0 t1
0 delete q0
  0: deleted 0
  1: cancelled t0
2 cancel t1
1 consume q0 t2
  1: 404 NOT_FOUND - no queue 'q0' in vhost '/'
0 declare q1 exclusive
0 consume q1 t3
0 delete q1
  0: deleted 0
  0: cancelled t3
"
);

dialogue!(
    modes_of_a_channel,
    "
0 commit
  0: 406 PRECONDITION_FAILED - channel is not transactional
0 rollback
  0: 406 PRECONDITION_FAILED - channel is not transactional
0 tx
0 tx
0 confirm
  0: 406 PRECONDITION_FAILED - cannot switch from tx to confirm mode
0 confirm
0 confirm
0 tx
  0: 406 PRECONDITION_FAILED - cannot switch from confirm to tx mode
"
);

dialogue!(
    what_ends_the_connection,
    "
0 flow
0 flow stop
  0: connection closed: 540 NOT_IMPLEMENTED - active=false
0 recover drop
  0: connection closed: 540 NOT_IMPLEMENTED - requeue=false
0 recover-async drop
  0: connection closed: 540 NOT_IMPLEMENTED - requeue=false
0 declare q0 durable x-queue-type=quorum
0 qos 1 global
0 consume q0 t0
  0: connection closed: 540 NOT_IMPLEMENTED - queue 'q0' in vhost '/' does not support global qos
0 exchange x0 nope
  3: 0: connection closed: 503 COMMAND_INVALID - unknown exchange type 'nope'
  4: 0: 406 PRECONDITION_FAILED - unknown exchange type 'nope'
"
);

dialogue!(
    what_is_recovered_comes_again,
    "
0 declare q0
0 consume q0 t0
0 publish - q0
  0: t0 m1
0 publish - q0
  0: t0 m2
0 recover
  0: t0 m1 again
  0: t0 m2 again
0 ack 3
0 recover-async
  0: t0 m2 again
0 ack 5
0 ack 4
  0: 406 PRECONDITION_FAILED - unknown delivery tag 4
0 look
  q0: 0 for 0
"
);

dialogue!(
    names_and_exchanges_of_the_brokers_own,
    "
0 declare amq.mine
  0: 403 ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'
0 declare amq.mine passive
  0: 404 NOT_FOUND - no queue 'amq.mine' in vhost '/'
0 exchange amq.mine direct
  0: 403 ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'
0 exchange amq.direct direct durable
0 exchange - direct
  0: 403 ACCESS_REFUSED - operation not permitted on the default exchange
0 exchange - direct passive
  0: 403 ACCESS_REFUSED - operation not permitted on the default exchange
0 delete-exchange -
  0: 403 ACCESS_REFUSED - operation not permitted on the default exchange
0 delete-exchange amq.mine
  0: 403 ACCESS_REFUSED - deletion of system exchange 'amq.mine' in vhost '/' not allowed
0 declare q0
0 bind q0 - q0
  0: 403 ACCESS_REFUSED - operation not permitted on the default exchange
0 unbind q0 - q0
  0: 403 ACCESS_REFUSED - operation not permitted on the default exchange
0 e2e amq.fanout - k
  0: 403 ACCESS_REFUSED - operation not permitted on the default exchange
0 e2e - amq.fanout k
  0: 403 ACCESS_REFUSED - operation not permitted on the default exchange
0 publish amq.rabbitmq.trace k
  0: 403 ACCESS_REFUSED - cannot publish to internal exchange 'amq.rabbitmq.trace' in vhost '/'
"
);

dialogue!(
    an_exchange_that_is_used,
    "
0 exchange x0 direct
0 exchange x1 fanout
0 e2e x1 x0 k
0 delete-exchange x0 if-unused
  0: 406 PRECONDITION_FAILED - exchange 'x0' in vhost '/' in use
0 delete-exchange x1 if-unused
0 delete-exchange x0 if-unused
0 delete-exchange x0 if-unused
0 unbind-e2e x1 x0 k
0 e2e x1 x0 k
  0: 404 NOT_FOUND - no exchange 'x0' in vhost '/'
"
);

dialogue!(
    copies_have_to_be_lists,
    "
0 declare q0
0 publish - q0 h=1 CC=q1
0 look
  q0: 1 for 0
0 publish - missing mandatory CC=q0
0 publish - missing mandatory BCC=q0
0 look
  q0: 3 for 0
"
);

dialogue!(
    consumers_priorities_and_room,
    "
0 declare q0
0 consume q0 t0 x-priority=text
  0: 406 PRECONDITION_FAILED - invalid arg 'x-priority' for queue 'q0' in vhost '/': \"expected integer, got longstr\"
0 qos 1
0 consume q0 t0 x-priority=5
0 consume q0 t1 x-priority=5
0 consume q0 t2
0 publish - q0
  0: t0 m1
0 publish - q0
  0: t1 m2
0 publish - q0
  0: t2 m3
0 publish - q0
0 ack 2
  0: t1 m4
0 ack 3
0 ack 1
0 publish - q0
  0: t0 m5
0 publish - q0
  0: t2 m6
"
);
