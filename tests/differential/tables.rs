//! What the codecs know about methods, properties, codes and constants, compared with what our tables say.

use std::collections::BTreeSet;

use amqp091::protocol::{AnyMethod, ErrorKind, ReplyCode, basic, constants, method_info};
use amqp091::types::schema::{FieldInfo, MethodInfo};
use amqp091::types::{FieldRef, Reflect};

use crate::comparison::{methods, say};
use crate::model::Model;
use crate::pamqp::Pamqp;
use crate::peer::Peer;
use crate::pika::Pika;
use crate::seen::{Seen, parse_all, python_name};

/// Methods of 0-8 that pika still knows; the broker answers them, and nobody needs them.
const ONLY_PIKA: [&str; 2] = ["Access.Request", "Access.RequestOk"];

#[test]
#[ignore = "needs the Python codecs: run scripts/test, or see scripts/python-peers"]
fn tables_are_those_of_pamqp() {
    let mut peer = Peer::start("pamqp");
    let mut found = Found::default();
    for row in rows(&mut peer) {
        let cells: Vec<_> = row.iter().map(String::as_str).collect();
        match cells[..] {
            [
                "method",
                name,
                index,
                own_index,
                class,
                number,
                synchronous,
                responses,
                ref attributes @ ..,
            ] => {
                let ours = found.method(name);
                check_ids(ours, [index, own_index], class);
                assert_eq!(number, ours.id.method_id.to_string(), "{name}");
                assert_eq!(synchronous, python_bool(is_synchronous_request(ours)), "{name}");
                let replies = ours.replies.iter().map(|id| {
                    python_name(method_info(*id).unwrap_or_else(|| panic!("{id} of {name}")).name)
                });
                assert_eq!(responses, replies.collect::<Vec<_>>().join(","), "{name}");
                let attributes: Vec<_> = attributes.iter().map(|cell| split::<3>(cell)).collect();
                for ([_, wire_type, _], field) in attributes.iter().zip(ours.fields) {
                    assert_eq!(*wire_type, field.wire_type.name(), "{name}.{}", field.name);
                }
                let attributes = attributes.iter().map(|[name, _, default]| (*name, *default));
                found.attributes::<Pamqp>(ours, attributes.collect());
            }
            ["properties", "Basic.Properties", "60", ref properties @ ..] => {
                let properties: Vec<_> = properties.iter().map(|cell| split::<4>(cell)).collect();
                for ([_, wire_type, ..], field) in properties.iter().zip(basic::CLASS.properties) {
                    assert_eq!(*wire_type, field.wire_type.name(), "{}", field.name);
                }
                let flags = properties.iter().map(|[name, _, flag, _]| (*name, *flag));
                found.properties::<Pamqp>(flags.collect());
                for [name, .., default] in properties {
                    // All are absent, which is '' for one.
                    let absent = if name == "cluster_id" { "S" } else { "V" };
                    assert_eq!(default, absent, "{name}");
                }
            }
            ["reply-code", code, name, kind] => {
                let ours = ReplyCode(code.parse().expect("a number"));
                assert_eq!(ours.name(), Some(name.replace('-', "_").as_str()), "{code}");
                let expected = match ours.kind() {
                    Some(ErrorKind::Soft) => "soft",
                    Some(ErrorKind::Hard) => "hard",
                    other => panic!("{name} is {other:?}"),
                };
                assert_eq!(kind, expected, "{name}");
                found.codes.insert(ours.0);
            }
            ["constant", name, value] => found.constant(name, value),
            ["domain", name, wire_type] => {
                for field in all_fields().filter(|field| field.domain == Some(name)) {
                    assert_eq!(wire_type, field.wire_type.name(), "{name}");
                    found.domains.insert(name.to_owned());
                }
            }
            _ => panic!("{row:?}"),
        }
    }
    found.codes.insert(ReplyCode::REPLY_SUCCESS.0); // no error, so pamqp has no exception for it
    let report = found.report(&peer);
    assert_eq!(found.constants, 7);
    assert!(found.domains.len() >= 12, "{:?}", found.domains);
    say(&report);
}

#[test]
#[ignore = "needs the Python codecs: run scripts/test, or see scripts/python-peers"]
fn tables_are_those_of_pika() {
    let mut peer = Peer::start("pika");
    let mut found = Found::default();
    for row in rows(&mut peer) {
        let cells: Vec<_> = row.iter().map(String::as_str).collect();
        match cells[..] {
            ["method", name, ..] if ONLY_PIKA.contains(&name) => {
                assert!(!methods().any(|method| python_name(method.name) == name), "{name}");
                found.only_there += 1;
            }
            [
                "method",
                name,
                index,
                own_index,
                class,
                synchronous,
                has_content,
                ref attributes @ ..,
            ] => {
                let ours = found.method(name);
                check_ids(ours, [index, own_index], class);
                assert_eq!(synchronous, python_bool(is_synchronous_request(ours)), "{name}");
                assert_eq!(has_content, python_bool(ours.has_content), "{name}");
                let attributes = attributes.iter().map(|cell| split::<2>(cell).into());
                found.attributes::<Pika>(ours, attributes.collect());
            }
            ["properties", "BasicProperties", "60", ref properties @ ..] => {
                let flags = properties.iter().map(|cell| split::<2>(cell).into());
                found.properties::<Pika>(flags.collect());
            }
            // All that it has in capitals; some of it is no constant of the protocol.
            ["constant", name, value] => match constant_of_code(name) {
                Some(code) => {
                    assert_eq!(value, code.0.to_string(), "{name}");
                    found.codes.insert(code.0);
                }
                None => found.constant(name, value),
            },
            _ => panic!("{row:?}"),
        }
    }
    assert_eq!(found.only_there, ONLY_PIKA.len());
    assert_eq!(found.constants, 6);
    let report = found.report(&peer);
    say(&report);
}

/// What of ours has been found there.
#[derive(Debug, Default)]
struct Found {
    methods: BTreeSet<&'static str>,
    arguments: usize,
    /// Names that aren't ours with `_` for `-`.
    names: BTreeSet<String>,
    defaults: usize,
    without_default: usize,
    properties: usize,
    codes: BTreeSet<u16>,
    constants: usize,
    domains: BTreeSet<String>,
    only_there: usize,
}

impl Found {
    fn method(&mut self, name: &str) -> &'static MethodInfo {
        let ours = methods().find(|method| python_name(method.name) == name);
        let ours = ours.unwrap_or_else(|| panic!("we have no {name}"));
        assert!(self.methods.insert(ours.name), "{name} twice");
        ours
    }

    /// Names and defaults of a method's arguments.
    fn attributes<M: Model>(&mut self, method: &MethodInfo, theirs: Vec<(&str, &str)>) {
        let ours = AnyMethod::new(method.id).expect("one of ours");
        assert_eq!(theirs.len(), ours.schema().len(), "{}", method.name);
        for (index, (name, default)) in theirs.into_iter().enumerate() {
            let field = &ours.schema()[index];
            let path = format!("{}.{}", method.name, field.name);
            assert_eq!(name, M::name(ours.as_reflect(), index), "{path}");
            self.arguments += 1;
            if M::NAMES.iter().any(|(ours, _)| *ours == path) {
                self.names.insert(path.clone());
            }
            let theirs = parse_all(default);
            let same = match ours.field_at(index) {
                None => {
                    // pamqp's '0' for two methods is a listed difference.
                    let zeros = ["t0", "n0", "S", "S30"];
                    assert!(field.reserved && zeros.contains(&default), "{path}: {default}");
                    continue;
                }
                Some(FieldRef::Table(table)) => {
                    assert!(table.is_empty(), "{path}");
                    theirs == Seen::Table(Vec::new()) || theirs == Seen::Nothing
                }
                // An argument that has to be given there.
                Some(_) if theirs == Seen::Nothing => {
                    self.without_default += 1;
                    continue;
                }
                Some(value) => theirs == Seen::argument(value),
            };
            assert!(same, "default of {path}: {theirs:?}, ours {:?}", field.default);
            self.defaults += 1;
        }
    }

    /// Names and flags of the properties.
    fn properties<M: Model>(&mut self, theirs: Vec<(&str, &str)>) {
        let ours = basic::Properties::default();
        assert_eq!(theirs.len(), ours.schema().len());
        for (index, (name, flag)) in theirs.into_iter().enumerate() {
            assert_eq!(name, M::name(&ours, index));
            assert_eq!(flag, (1_u32 << (15 - index)).to_string(), "{name}");
            let path = format!("{}.{}", ours.name(), ours.schema()[index].name);
            if M::NAMES.iter().any(|(ours, _)| *ours == path) {
                self.names.insert(path);
            }
            self.properties += 1;
        }
        let listed: BTreeSet<_> = M::NAMES.iter().map(|(ours, _)| (*ours).to_owned()).collect();
        assert_eq!(self.names, listed, "names listed in vain");
    }

    fn constant(&mut self, name: &str, value: &str) {
        let ours = match name {
            "FRAME_METHOD" => constants::FRAME_METHOD.into(),
            "FRAME_HEADER" => constants::FRAME_HEADER.into(),
            "FRAME_BODY" => constants::FRAME_BODY.into(),
            "FRAME_HEARTBEAT" => constants::FRAME_HEARTBEAT.into(),
            "FRAME_MIN_SIZE" => u32::from(constants::FRAME_MIN_SIZE),
            "FRAME_END" => constants::FRAME_END.into(),
            "REPLY_SUCCESS" => ReplyCode::REPLY_SUCCESS.0.into(),
            // pika's own.
            "FRAME_END_SIZE" | "FRAME_HEADER_SIZE" | "FRAME_MAX_SIZE" | "PORT" => return,
            "PERSISTENT_DELIVERY_MODE" | "TRANSIENT_DELIVERY_MODE" => return,
            _ => panic!("{name} is no constant of ours"),
        };
        assert_eq!(value, ours.to_string(), "{name}");
        self.constants += 1;
    }

    /// Nothing of ours is missing there; a line of figures.
    fn report(&self, peer: &Peer) -> String {
        let all: BTreeSet<_> = methods().map(|method| method.name).collect();
        assert_eq!(self.methods, all, "what is new in spec/ goes into ONLY_OURS in differences.rs");
        assert_eq!(self.properties, basic::CLASS.properties.len());
        let codes: BTreeSet<_> = codes().map(|code| code.0).collect();
        assert_eq!(self.codes, codes);
        format!(
            "tables of {}: {} methods, {} arguments, {} defaults ({} arguments have none there), {} properties, \
             {} reply codes, {} constants, {} domains; differences: {} names, {} methods only there",
            peer.version,
            self.methods.len(),
            self.arguments,
            self.defaults,
            self.without_default,
            self.properties,
            self.codes.len(),
            self.constants,
            self.domains.len(),
            self.names.len(),
            self.only_there,
        )
    }
}

// ------------------------------------------------------------------------------------------------

fn rows(peer: &mut Peer) -> Vec<Vec<String>> {
    peer.ask("tables");
    let mut rows = Vec::new();
    loop {
        let row = peer.answer();
        if row == "end" {
            return rows;
        }
        rows.push(row.split('\t').map(str::to_owned).collect());
    }
}

/// A cell's parts.
fn split<const N: usize>(cell: &str) -> [&str; N] {
    let parts: Vec<_> = cell.splitn(N, ':').collect();
    parts.try_into().unwrap_or_else(|_| panic!("{cell} has not {N} parts"))
}

fn all_fields() -> impl Iterator<Item = &'static FieldInfo> {
    methods().flat_map(|method| method.fields).chain(basic::CLASS.properties)
}

fn codes() -> impl Iterator<Item = ReplyCode> {
    (0..=u16::MAX).map(ReplyCode).filter(|code| code.name().is_some())
}

fn constant_of_code(name: &str) -> Option<ReplyCode> {
    codes().find(|code| code.name() == Some(name))
}

fn check_ids(ours: &MethodInfo, indices: [&str; 2], class: &str) {
    let index = (u32::from(ours.id.class_id) << 16) | u32::from(ours.id.method_id);
    let index = format!("{index:#010x}");
    assert_eq!(indices, [&index, &index], "{}", ours.name);
    assert_eq!(class, ours.id.class_id.to_string(), "{}", ours.name);
}

/// The codecs call a request synchronous; the specification its reply too.
fn is_synchronous_request(method: &MethodInfo) -> bool {
    let is_reply = methods().any(|request| request.replies.contains(&method.id));
    method.synchronous && !is_reply
}

fn python_bool(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}
