//! Messages by a template are the same on the wire as those encoded one by one.

use super::*;
use crate::core::{Prepared, Template, Watch};

fn script() -> (Script, ChannelKey) {
    let mut script = Script::open();
    script.channel();
    let channel = script.channel();
    (script, channel)
}

fn properties() -> basic::Properties {
    basic::Properties::default().with_content_type(short("text/plain")).with_priority(3)
}

#[test]
fn a_prepared_message_is_the_same_as_a_plain_one() {
    let properties = properties();
    let long = "k".repeat(255);
    for (exchange, key, other) in
        [("", "q", "other"), ("exchange", "", ""), (&long, &long, ""), ("x", "", &long)]
    {
        for persistent in [false, true] {
            for properties in [None, Some(&properties)] {
                for size in [0, 1, 5000, 20_000] {
                    for mandatory in [false, true] {
                        let (mut script, channel) = script();
                        let body = vec![1; size];
                        let mut plain = Message { properties, persistent, ..message(key, &body) };
                        plain.method.exchange = short(exchange);
                        plain.method.mandatory = mandatory;
                        let template =
                            Template::new(&plain.method, properties, persistent).unwrap();
                        script.core.publish(channel, &plain).unwrap();
                        let expected = script.sent();
                        assert_eq!(expected.len(), if size == 0 { 3 } else { 4 });
                        for routing_key in [None, Some(short(key)), Some(short(other))] {
                            plain.method.routing_key =
                                routing_key.clone().unwrap_or_else(|| short(key));
                            let body = Body::from(&body);
                            let watch = Watch::Confirm;
                            let prepared =
                                Prepared { template: &template, routing_key, body, watch };
                            script.core.publish(channel, &prepared).unwrap();
                            let found = script.sent();
                            script.core.publish(channel, &plain).unwrap();
                            assert_eq!(found, script.sent());
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_prepared_message_that_comes_back_is_known_by_its_own_routing_key() {
    let (mut script, channel) = script();
    let mut method = publish_to("a");
    method.mandatory = true;
    let template = Template::new(&method, None, false).unwrap();
    let places = [None, Some(short("b")), Some(short("c"))].map(|routing_key| {
        let (body, watch) = (Body::from("x"), Watch::Confirm);
        let prepared = Prepared { template: &template, routing_key, body, watch };
        script.core.publish(channel, &prepared).unwrap().unwrap().unwrap()
    });
    script.give_back(2, "c", b"x");
    script.give_back(2, "a", b"x");
    script.ack(2, 0, true);
    assert_eq!(script.outcomes(channel, &places), "RCR");
}

#[test]
fn properties_that_fit_no_frame_are_refused_and_nothing_is_sent() {
    let mut script = Script::open_with(ConnectOptions::default(), (0, 4096, 0));
    let channel = script.channel();
    let mut headers = FieldTable::new();
    headers.insert(short("x"), LongStr::from(vec![1; 5000]));
    let properties = basic::Properties::default().with_headers(headers);
    let template = Template::new(&publish_to("q"), Some(&properties), false).unwrap();
    let (body, watch) = (Body::from("x"), Watch::Confirm);
    let prepared = Prepared { template: &template, routing_key: None, body, watch };
    let error = script.core.publish(channel, &prepared).unwrap_err();
    assert!(matches!(error, Error::FrameTooLarge { frame_max: 4096, .. }), "{error}");
    assert_eq!(script.sent(), []);
    assert_eq!(script.publish(channel, "q", b"x").delivery_tag, 1);
}
