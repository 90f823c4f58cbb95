//! What random programs found: each is where the embedded broker once differed from RabbitMQ.

dialogue!(
    what_is_missing_is_told_of_the_exchange_first,
    "
0 bind missing x0
  0: 404 NOT_FOUND - no exchange 'x0' in vhost '/'
0 exchange x0 direct
0 bind missing x0
  0: 404 NOT_FOUND - no queue 'missing' in vhost '/'
0 bind - x0
  0: 404 NOT_FOUND - no previously declared queue
"
);

dialogue!(
    whose_queue_it_is_comes_before_what_it_is_like,
    "
0 declare q0 durable x-max-length=1
0 declare q0 exclusive
  0: 405 RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q0' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.
0 declare q0 auto-delete x-max-length=2
  0: 406 PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'q0' in vhost '/': received 'false' but current is 'true'
0 declare q0 durable auto-delete x-max-length=2
  0: 406 PRECONDITION_FAILED - inequivalent arg 'auto_delete' for queue 'q0' in vhost '/': received 'true' but current is 'false'
"
);

dialogue!(
    an_exclusive_queue_is_not_durable,
    "
0 declare q0 exclusive durable
0 declare q0 exclusive
0 declare q0 exclusive durable
0 look
  q0: 0 for 0
"
);

dialogue!(
    a_queue_is_looked_at_for_messages_before_consumers,
    "
0 declare q0
0 qos 1
0 consume q0 t0
0 publish - q0
  0: t0 m1
0 publish - q0
0 delete q0 if-unused if-empty
  0: 406 PRECONDITION_FAILED - queue 'q0' in vhost '/' not empty
0 declare q0
0 consume q0 t0
  0: t0 m1 again
  0: t0 m2
1 delete q0 if-unused if-empty
  1: 406 PRECONDITION_FAILED - queue 'q0' in vhost '/' in use
"
);

dialogue!(
    all_before_one_that_is_held_itself,
    "
0 declare q0
0 publish - q0
0 publish - q0
0 publish - q0
0 get q0
  0: got m1, 2 more
0 get q0
  0: got m2, 1 more
0 get q0
  0: got m3, 0 more
0 ack 2
0 ack 2 multiple
  0: 406 PRECONDITION_FAILED - unknown delivery tag 2
0 look
  q0: 2 for 0
0 get q0
  0: got m1 again, 1 more
0 get q0
  0: got m3 again, 0 more
0 ack 2 multiple
0 look
  q0: 0 for 0
"
);

dialogue!(
    delivery_modes_are_two,
    "
0 declare q0
0 publish - q0 mode=3
  3: 0: 406 PRECONDITION_FAILED - invalid message: {delivery_mode_unknown,3}
0 look
  3: q0: 0 for 0
  4: q0: 1 for 0
"
);

dialogue!(
    expirations,
    "
0 declare q0
0 publish - q0 expiration=1.5
  0: 406 PRECONDITION_FAILED - invalid expiration '1.5': {leftover_string,\".5\"}
0 publish - q0 expiration=10s
  0: 406 PRECONDITION_FAILED - invalid expiration '10s': {leftover_string,\"s\"}
0 publish - q0 expiration=soon
  0: 406 PRECONDITION_FAILED - invalid expiration 'soon': no_integer
0 publish - q0 expiration=
  0: 406 PRECONDITION_FAILED - invalid expiration '': no_integer
0 publish - q0 expiration=-01
  0: 406 PRECONDITION_FAILED - invalid expiration '-01': {value_negative,-1}
0 publish - q0 expiration=315360000001
  0: 406 PRECONDITION_FAILED - invalid expiration '315360000001': {value_too_large,315360000001}
0 publish - q0 expiration=315360000000
0 publish - q0 expiration=+600000
0 publish - q0 expiration=0600000
0 look
  q0: 3 for 0
"
);

dialogue!(
    a_tag_is_looked_at_before_its_queue,
    "
0 declare q0
0 consume q0 t0
0 consume missing t0
  0: connection closed: 530 NOT_ALLOWED - attempt to reuse consumer tag 't0'
"
);

dialogue!(
    replies_have_a_tag_of_their_own,
    "
0 declare q0
0 consume amq.rabbitmq.reply-to t0 no-ack
0 consume q0 t0
0 publish - q0
  0: t0 m1
0 consume amq.rabbitmq.reply-to t1 no-ack
  0: 406 PRECONDITION_FAILED - reply consumer already set
0 consume amq.rabbitmq.reply-to t1
  0: 406 PRECONDITION_FAILED - reply consumer cannot acknowledge
0 publish - q0 reply-to=amq.rabbitmq.reply-to user=other
  0: 406 PRECONDITION_FAILED - fast reply consumer does not exist
"
);

dialogue!(
    a_transaction_publishes_before_it_settles_and_knows_its_queues_before,
    "
0 declare q0 x-max-length=1
0 exchange x0 fanout
1 tx
0 publish - q0
1 get q0
  1: got m1, 0 more
1 nack 1
1 publish - q0
1 publish x0 - mandatory
0 bind q0 x0
1 commit
  1: returned m3
0 get q0 no-ack
  0: got m2, 0 more
"
);

dialogue!(
    who_had_no_room_goes_to_the_end_of_the_line,
    "
0 declare q0
0 qos 1
0 consume q0 t0
0 qos 0
0 consume q0 t1
0 publish - q0
  0: t0 m1
0 publish - q0
  0: t1 m2
0 publish - q0
  0: t1 m3
0 consume q0 t2
0 ack 1
0 publish - q0
  0: t1 m4
0 publish - q0
  0: t2 m5
0 publish - q0
  0: t0 m6
"
);

dialogue!(
    what_counts_against_a_shared_prefetch,
    "
0 declare q0
0 publish - q0
0 publish - q0
0 publish - q0
0 publish - q0
0 get q0
  0: got m1, 3 more
0 qos 2 global
0 consume q0 t0
  0: t0 m2
0 get q0
  0: got m3, 1 more
0 ack 3
0 ack 2
  0: t0 m4
0 cancel t0
0 qos 0 global
0 qos 1 global
0 publish - q0
0 consume q0 t0
"
);

dialogue!(
    values_are_shown_as_erlang_shows_them,
    "
0 declare q0
0 declare q0 x-max-length=array
  0: 406 PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q0' in vhost '/': received the value '[{signedint,1}]' of type 'array' but current is none
0 declare q0 x-max-length=table
  0: 406 PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q0' in vhost '/': received the value '[{<<\"k\">>,signedint,1}]' of type 'table' but current is none
0 declare q0 x-max-length=float:2
  0: 406 PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q0' in vhost '/': received the value '2.0' of type 'double' but current is none
0 declare q0 x-max-length=void
  0: 406 PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q0' in vhost '/': received the value 'undefined' of type 'void' but current is none
"
);

dialogue!(
    a_bindings_arguments_have_no_order,
    "
0 declare q0
0 exchange x0 headers
0 bind q0 x0 k a=1 b=2
0 bind q0 x0 k b=2 a=1
0 unbind q0 x0 k b=2 a=1
0 publish x0 - mandatory a=1 b=2
  0: returned m1
0 look
  q0: 0 for 0
"
);

dialogue!(
    what_expires_behind_the_first_goes_with_it,
    "
0 declare q0
0 publish - q0
0 publish - q0 expiration=0
0 look
  q0: 2 for 0
0 get q0
  0: got m1, 0 more
0 ack 1
0 declare q1 x-max-length=2
0 publish - q1
0 publish - q1 expiration=0
0 publish - q1
0 look
  q0: 0 for 0
  q1: 1 for 0
"
);

dialogue!(
    what_overtakes_by_priority_is_not_looked_at,
    "
0 declare q0 x-max-priority=3
0 publish - q0 priority=2
0 publish - q0 expiration=0
0 look
  q0: 2 for 0
0 get q0 no-ack
  0: got m1, 0 more
0 publish - q0
0 publish - q0 expiration=0 priority=2
0 look
  q0: 2 for 0
0 get q0 no-ack
  0: got m4, 1 more
"
);

dialogue!(
    an_empty_name_is_no_queue_to_look_for,
    "
0 declare q0
0 declare - passive
  0: 404 NOT_FOUND - no queue '' in vhost '/'
0 exchange x0 -
  3: 0: connection closed: 503 COMMAND_INVALID - invalid exchange type ''
  4: 0: 406 PRECONDITION_FAILED - invalid exchange type ''
"
);

dialogue!(
    the_last_queue_may_be_that_for_replies,
    "
0 declare amq.rabbitmq.reply-to
0 consume - t0 no-ack
0 consume - t1 no-ack
  0: 406 PRECONDITION_FAILED - reply consumer already set
0 declare q0
0 consume q0 t0
1 consume - t0
  1: 404 NOT_FOUND - no previously declared queue
"
);

dialogue!(
    one_prefetch_lifts_the_other,
    "
0 declare q0
0 qos 1 global
0 consume q0 t0
0 publish - q0
  0: t0 m1
0 publish - q0
0 qos 5
  0: t0 m2
"
);

dialogue!(
    what_a_channels_consumer_leaves_is_not_for_the_channels_others,
    "
0 declare q0 x-single-active-consumer=true
0 qos 1
0 consume q0 t0
0 consume q0 t1
0 publish - q0
  0: t0 m1
0 publish - q0
0 close
0 look
  q0: 2 for 0
"
);

dialogue!(
    headers_are_compared_by_value_whatever_their_types,
    "
0 declare q0
0 exchange x0 headers
0 bind q0 x0 k a=time:1
0 publish x0 - mandatory a=1
0 publish x0 - mandatory a=float:1
0 publish x0 - mandatory a=2
  0: returned m3
0 publish x0 - mandatory a=bytes:1
  0: returned m4
0 unbind q0 x0 k a=time:1
0 bind q0 x0 k a=bytes:text
0 publish x0 - mandatory a=text
0 publish x0 - mandatory a=true
  0: returned m6
0 unbind q0 x0 k a=bytes:text
0 bind q0 x0 k a=true
0 publish x0 - mandatory a=true
0 publish x0 - mandatory a=1
  0: returned m8
0 unbind q0 x0 k a=true
0 bind q0 x0 k a=array
0 publish x0 - mandatory a=array
0 publish x0 - mandatory a=table
  0: returned m10
0 look
  q0: 5 for 0
"
);

dialogue!(
    only_texts_are_routing_keys,
    "
0 declare q0
0 declare q1
0 publish - missing CC=q0,bytes:q1,1
0 look
  q0: 1 for 0
  q1: 0 for 0
"
);

dialogue!(
    the_next_to_be_the_only_one_gets_first_what_came_back,
    "
0 declare q0 x-single-active-consumer=true
0 qos 1
0 consume q0 t0
0 publish - q0
  0: t0 m1
0 publish - q0
1 consume q0 t1
0 close
  1: t1 m1 again
  1: t1 m2
"
);

dialogue!(
    how_headers_match_has_a_name,
    "
0 declare q0
0 exchange x0 headers
0 bind q0 x0 k x-match=nothing
  0: 406 PRECONDITION_FAILED - Invalid x-match field value <<>>; expected all, any, all-with-x, or any-with-x
0 bind q0 x0 k x-match=most
  0: 406 PRECONDITION_FAILED - Invalid x-match field value <<\"most\">>; expected all, any, all-with-x, or any-with-x
0 bind q0 x0 k x-match=5
  0: 406 PRECONDITION_FAILED - Invalid x-match field type signedint (value 5); expected longstr
"
);
