//! A change of the specification is all that a new method takes: what the real files and one more method become, and what is
//! said about the slips of the pen that such a change may have.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::fs;
use std::path::Path;

use amqp091_codegen::{Source, generate};

/// Line 1 is blank, to make the lines of the text below those of the file.
const OVERLAY: &str = r#"
<amqp major="0" minor="9" revision="1" port="5672">
  <class name="queue" index="50" handler="channel">
    <method name="pause" index="60" synchronous="1" label="Stop the deliveries of a queue">
      <doc>Consumers stay, and get nothing until the queue is resumed.</doc>
      <rule name="must-exist" on-failure="not-found">
        <doc>The queue must exist.</doc>
      </rule>
      <chassis name="server" implement="MAY"/>
      <response name="pause-ok"/>
      <field name="reserved-1" type="short" reserved="1"/>
      <field name="queue" domain="queue-name" label="Queue to be paused"/>
      <field name="drain" type="bit" label="Let out what is on its way"/>
      <field name="reserved-2" type="bit" reserved="1"/>
      <field name="no-wait" domain="no-wait"/>
      <field name="arguments" domain="table" label="Settings of the pause">
        <doc>Milliseconds, under the key x-pause-for.</doc>
      </field>
      <field name="if-idle" type="bit" label="Only if nobody consumes"/>
    </method>
    <method name="pause-ok" index="61" synchronous="1" label="The queue is paused">
      <chassis name="client" implement="MUST"/>
      <field name="message-count" domain="message-count" label="Messages that are waiting"/>
    </method>
  </class>
</amqp>
"#;

/// The files of this project.
fn real() -> Vec<Source> {
    ["spec/amqp0-9-1.xml", "spec/rabbitmq.xml"]
        .map(|name| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
            Source::new(name, fs::read_to_string(path).unwrap())
        })
        .into()
}

/// They, and the overlay with each of these replaced.
fn changed(changes: &[(&str, &str)]) -> Vec<Source> {
    let mut text = OVERLAY.trim_start().to_owned();
    for (from, to) in changes {
        text = replaced_once(&text, from, to);
    }
    let mut sources = real();
    sources.push(Source::new("spec/pause.xml", text));
    sources
}

fn replaced_once(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from} is there once");
    text.replace(from, to)
}

/// Without layout, which is the formatter's business.
fn squeezed(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .concat()
        .replace(",}", "}")
        .replace(",]", "]")
        .replace(",)", ")")
        .replace(",>", ">")
}

/// The text holds each of these, in this order.
#[track_caller]
fn holds(text: &str, parts: &[&str]) {
    let text = squeezed(text);
    let mut rest = &text[..];
    for part in parts {
        let squeezed = squeezed(part);
        let Some(at) = rest.find(&squeezed) else {
            let elsewhere = text.contains(&squeezed);
            panic!(
                "missing{}: {part}",
                if elsewhere { " here, though it is elsewhere" } else { "" }
            )
        };
        rest = &rest[at + squeezed.len()..];
    }
}

/// The lines of one item: from the line that `begins` it to the one that closes it.
#[track_caller]
fn item<'a>(text: &'a str, begins: &str) -> &'a str {
    let at = text.find(begins).unwrap_or_else(|| panic!("no {begins}"));
    let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let indent = &text[line..at];
    assert!(indent.chars().all(char::is_whitespace), "{begins} begins a line");
    let end = text[at..].find(&format!("\n{indent}}}")).expect("the end of the item");
    &text[at..at + end]
}

fn errors(sources: &[Source]) -> Vec<String> {
    let errors = generate(sources).expect_err("there is a mistake");
    errors.to_string().lines().map(str::to_owned).collect()
}

#[test]
fn a_new_method_becomes_a_documented_struct() {
    let protocol = generate(&changed(&[])).unwrap().protocol;
    let queue = item(&protocol, "pub mod queue {");
    holds(
        queue,
        &[
            "/// Stop the deliveries of a queue.
             ///
             /// Consumers stay, and get nothing until the queue is resumed.
             ///
             /// Class 50, method 60; sent by the client; answered by [`PauseOk`].
             ///
             /// # Rules
             ///
             /// - **must-exist** (else [`NOT_FOUND`](super::ReplyCode::NOT_FOUND)):
             ///   The queue must exist.
             #[derive(Clone, Debug, Default, PartialEq, Eq)]
             pub struct Pause {
                 /// Queue to be paused.",
            "pub queue: wire::ShortStr,
             /// Let out what is on its way.
             pub drain: bool,
             /// Send no reply.",
            "pub no_wait: bool,
             /// Settings of the pause.
             ///
             /// Milliseconds, under the key x-pause-for.
             pub arguments: wire::FieldTable,
             /// Only if nobody consumes.
             pub if_idle: bool,
             }",
        ],
    );
    holds(
        item(queue, "impl wire::Method for Pause {"),
        &[
            "wire::MethodId::new(CLASS_ID, 60),
             \"queue.pause\",
             wire::SentBy::Client,
             )
             .with_label(\"Stop the deliveries of a queue\")
             .with_synchronous()
             .with_replies(&[<PauseOk as wire::Method>::ID])
             .with_fields(",
            "wire::schema::FieldInfo::new(\"queue\", wire::schema::WireType::ShortStr)
             .with_label(\"Queue to be paused\")
             .with_domain(\"queue-name\")",
        ],
    );
    holds(
        queue,
        &[
            "/// Class 50, method 61; sent by the server.",
            "pub struct PauseOk {",
            "pub message_count: u32",
        ],
    );
}

#[test]
fn neighbouring_bits_of_a_new_method_share_an_octet() {
    let protocol = generate(&changed(&[])).unwrap().protocol;
    let queue = item(&protocol, "pub mod queue {");
    holds(
        item(queue, "impl wire::Layout for Pause {"),
        &[
            // The ticket and two octets of bits.
            "4 + wire::Encode::encoded_len(&self.queue) + wire::Encode::encoded_len(&self.arguments)",
            "out.u16(0)?;
             out.short_str(&self.queue)?;
             out.bits([self.drain, false, self.no_wait])?;
             out.table(&self.arguments, \"queue.pause.arguments\")?;
             out.bits([self.if_idle])?;
             Ok(())",
        ],
    );
    holds(
        item(queue, "impl wire::Layout for Pause {"),
        &["input.u16(\"queue.pause.reserved-1\")?;
             let queue = input.short(\"queue.pause.queue\")?;
             let [drain, _, no_wait] = input.bits(\"queue.pause.drain\")?;
             let arguments = input.table(\"queue.pause.arguments\")?;
             let [if_idle] = input.bits(\"queue.pause.if-idle\")?;
             if whole { input.end()?; }
             Ok(Self { queue: S::make_short(queue), drain, no_wait, arguments: S::make_table(arguments), if_idle })"],
    );
}

#[test]
fn a_new_method_has_its_reply() {
    let protocol = generate(&changed(&[])).unwrap().protocol;
    let queue = item(&protocol, "pub mod queue {");
    holds(item(queue, "impl wire::Request for Pause {"), &["type Reply = PauseOk;"]);
    holds(
        item(queue, "impl wire::Reply for PauseOk {"),
        &["const METHODS: &'static [wire::MethodId] = &[<Self as wire::Method>::ID];"],
    );

    // Two responses become an enum of two.
    let sources = changed(&[
        (
            r#"<response name="pause-ok"/>"#,
            r#"<response name="pause-ok"/><response name="paused"/>"#,
        ),
        (
            r#"<method name="pause-ok""#,
            r#"<method name="paused" index="62"><chassis name="client" implement="MUST"/></method>
            <method name="pause-ok""#,
        ),
    ]);
    let protocol = generate(&sources).unwrap().protocol;
    let queue = item(&protocol, "pub mod queue {");
    let request = item(queue, "impl wire::Request for Pause {");
    holds(request, &["type Reply = PauseReply;"]);
    holds(item(queue, "pub enum PauseReply {"), &["PauseOk(PauseOk)", "Paused(Paused)"]);
    holds(
        item(queue, "impl wire::Reply for PauseReply {"),
        &["[<PauseOk as wire::Method>::ID, <Paused as wire::Method>::ID]"],
    );
}

#[test]
fn a_new_method_is_in_the_enums_of_those_who_meet_it() {
    let protocol = generate(&changed(&[])).unwrap().protocol;
    let any = item(&protocol, "pub enum AnyMethod {");
    holds(
        any,
        &[
            "QueueUnbindOk(queue::UnbindOk),
             /// `queue.pause`: Stop the deliveries of a queue.
             QueuePause(queue::Pause),
             /// `queue.pause-ok`: The queue is paused.
             QueuePauseOk(queue::PauseOk),",
            "BasicQos(basic::Qos)",
        ],
    );
    let to_server = item(&protocol, "pub enum ToServer {");
    holds(to_server, &["QueuePause(queue::Pause)"]);
    assert!(!to_server.contains("QueuePauseOk"));
    let to_client = item(&protocol, "pub enum ToClient {");
    holds(to_client, &["QueuePauseOk(queue::PauseOk)"]);
    assert!(!to_client.contains("QueuePause("));

    let pause = "(50, 60) => arguments(id, input, Self::QueuePause),";
    let pause_ok = "(50, 61) => arguments(id, input, Self::QueuePauseOk),";
    holds(item(&protocol, "impl AnyMethod {"), &[pause, pause_ok]);
    holds(item(&protocol, "impl ToServer {"), &[pause]);
    holds(item(&protocol, "impl ToClient {"), &[pause_ok]);
    assert!(!squeezed(item(&protocol, "impl ToServer {")).contains(&squeezed(pause_ok)));
    assert!(!squeezed(item(&protocol, "impl ToClient {")).contains(&squeezed(pause)));

    for conversion in [
        "impl From<queue::Pause> for AnyMethod {",
        "impl From<queue::PauseOk> for AnyMethod {",
        "impl From<queue::Pause> for ToServer {",
        "impl From<queue::PauseOk> for ToClient {",
        "impl TryFrom<AnyMethod> for queue::Pause {",
        "impl TryFrom<AnyMethod> for queue::PauseOk {",
    ] {
        assert!(protocol.contains(conversion), "{conversion}");
    }
    assert!(!protocol.contains("impl From<queue::Pause> for ToClient"));

    holds(
        item(&protocol, "pub const fn method_name("),
        &["(50, 60) => Some(\"queue.pause\"),", "(50, 61) => Some(\"queue.pause-ok\"),"],
    );
}

#[test]
fn a_new_method_is_tested_there_and_back() {
    let round_trip = generate(&changed(&[])).unwrap().round_trip;
    holds(
        &round_trip,
        &[
            "impl Sample for amqp091::protocol::queue::Pause {
                 fn sample(random: &mut Random) -> Self {
                     Self {
                         queue: Sample::sample(random),
                         drain: Sample::sample(random),
                         no_wait: Sample::sample(random),
                         arguments: Sample::sample(random),
                         if_idle: Sample::sample(random),
                     }
                 }
             }
             #[test]
             fn queue_pause() {
                 round_trip_method::<amqp091::protocol::queue::Pause>(amqp091::protocol::AnyMethod::from);
             }",
            "fn queue_pause_ok() {",
        ],
    );
}

#[test]
fn nothing_else_changes() {
    let before = generate(&real()).unwrap();
    let after = generate(&changed(&[])).unwrap();
    for (before, after) in
        [(before.protocol, after.protocol), (before.round_trip, after.round_trip)]
    {
        // The first line names the files.
        let mut added = after.lines().skip(1);
        for line in before.lines().skip(1) {
            assert!(added.any(|new| new == line), "gone: {line}");
        }
        assert!(after.len() > before.len());
    }
}

#[test]
fn a_direction_may_be_added_to_a_method() {
    let overlay = r#"<amqp major="0" minor="9" revision="1" port="5672">
  <class name="basic" index="60" handler="channel">
    <method name="publish" index="40"><chassis name="client" implement="MAY"/></method>
  </class>
</amqp>"#;
    let mut sources = real();
    sources.push(Source::new("both.xml", overlay));
    let protocol = generate(&sources).unwrap().protocol;
    holds(item(&protocol, "pub enum ToClient {"), &["BasicPublish(basic::Publish)"]);
    holds(item(&protocol, "pub enum ToServer {"), &["BasicPublish(basic::Publish)"]);
    let basic = item(&protocol, "pub mod basic {");
    holds(item(basic, "impl wire::Method for Publish {"), &["wire::SentBy::Both"]);
}

#[test]
fn slips_of_the_pen_are_shown_where_they_are() {
    for (from, to, expected) in [
        (
            r#"name="drain" type="bit""#,
            r#"name="drain" type="bitt""#,
            r#"12:7: queue.pause.drain: unknown type "bitt"; did you mean "bit"?"#,
        ),
        (
            r#"name="queue" domain="queue-name""#,
            r#"name="queue" domain="queue-nmae""#,
            r#"11:7: queue.pause.queue: unknown domain "queue-nmae"; did you mean "queue-name"?"#,
        ),
        (
            r#"name="arguments" domain="table""#,
            r#"name="arguments" type="tble""#,
            r#"15:7: queue.pause.arguments: unknown type "tble"; did you mean "table"?"#,
        ),
        (
            r#"name="pause" index="60" "#,
            r#"name="pause" "#,
            r#"3:5: queue.pause: <method> lacks the attribute "index""#,
        ),
        (
            r#"<response name="pause-ok"/>"#,
            r#"<response name="puase-ok"/>"#,
            r#"9:7: queue.pause: unknown response "puase-ok": the class has no such method; did you mean "pause-ok"?"#,
        ),
        (
            r#"<chassis name="server" implement="MAY"/>"#,
            "",
            "3:5: queue.pause: no direction: the method lacks <chassis>, which says who receives it",
        ),
        (
            r#"on-failure="not-found""#,
            r#"on-failure="not-fuond""#,
            r#"5:7: queue.pause: rule "must-exist": on-failure names no constant: "not-fuond"; did you mean "not-found"?"#,
        ),
        (
            "<response ",
            "<responce ",
            "9:7: queue.pause: unknown element <responce> in <method>; expected doc, rule, chassis, response or field",
        ),
        (
            r#"index="50""#,
            r#"index="51""#,
            "2:3: queue: overlay redefines the index: 50 at spec/amqp0-9-1.xml:LINE:3, 51 here; an overlay may only add",
        ),
        (
            r#"name="pause-ok" index="61""#,
            r#"name="pause-ok" index="50""#,
            "20:5: queue.pause-ok: duplicate method index 50; the first is at spec/amqp0-9-1.xml:LINE:5",
        ),
    ] {
        let real = real();
        let line_of = |text: &str| {
            let place = real[0].text.find(text).expect("in the standard");
            real[0].text[..place].matches('\n').count() + 1
        };
        let line = if expected.contains("method index") {
            line_of(r#"<method name="unbind" index="50""#)
        } else {
            line_of(r#"<class name="queue""#)
        };
        let expected = format!("spec/pause.xml:{expected}").replace("LINE", &line.to_string());
        assert_eq!(errors(&changed(&[(from, to)])), [expected]);
    }
}

#[test]
fn a_slip_of_the_pen_in_the_standard_is_shown_too() {
    let mut sources = changed(&[]);
    sources[0].text = replaced_once(
        &sources[0].text,
        r#"<domain name="queue-name" type="shortstr""#,
        r#"<domain name="queue-name" type="shrtstr""#,
    );
    let at = sources[0].text.find(r#"<domain name="queue-name""#).unwrap();
    let line = sources[0].text[..at].matches('\n').count() + 1;
    let column = at - sources[0].text[..at].rfind('\n').unwrap();
    let place = format!("spec/amqp0-9-1.xml:{line}:{column}");
    let expected =
        format!(r#"{place}: domain queue-name: unknown type "shrtstr"; did you mean "shortstr"?"#);
    assert_eq!(errors(&sources), [expected]);
}

#[test]
fn all_slips_of_the_pen_are_shown_at_once() {
    let shown = errors(&changed(&[
        (r#"name="drain" type="bit""#, r#"name="drain" type="bitt""#),
        (r#"name="queue" domain="queue-name""#, r#"name="queue" domain="queue-nmae""#),
        (r#"<response name="pause-ok"/>"#, r#"<response name="puase-ok"/>"#),
    ]));
    let places: Vec<_> =
        shown.iter().map(|error| error.split(": ").next().unwrap_or_default()).collect();
    assert_eq!(places, ["spec/pause.xml:9:7", "spec/pause.xml:11:7", "spec/pause.xml:12:7"]);
}
