//! The rules that the specification has for fields, checked.

use thiserror::Error;

use crate::field::FieldRef;
use crate::reflect::Reflect;
use crate::schema::{FieldInfo, Rule};

/// How strict a check is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// All that the specification asserts: names have at most 127 octets of `a-z A-Z 0-9 - _ . :`, and what
    /// it calls "not null" isn't empty.
    #[default]
    Specification,
    /// What Python's pamqp 4 checks: names may also have `@ # , / +` and spaces, names of queues are as long as the wire
    /// allows, and empty strings are fine.
    Pamqp,
}

/// The octets that pamqp lets pass in names, besides those of the specification.
const PAMQP_OCTETS: &[u8] = b"@#,/+ ";

/// The domain of names whose length pamqp leaves to the wire.
const QUEUE_NAME: &str = "queue-name";

/// The domains of names in which pamqp takes those octets.
const NAMES: [Option<&str>; 2] = [Some("exchange-name"), Some(QUEUE_NAME)];

/// A field that isn't as the specification asserts.
///
/// Displayed as `basic.publish.exchange: "a/b" must match ^[a-zA-Z0-9-_.:]*$`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{owner}.{field}: {} {rule}", shown(.value))]
pub struct ValidationError {
    owner: &'static str,
    field: &'static str,
    rule: Rule,
    value: Box<str>,
}

impl ValidationError {
    /// The method, `basic.publish`, or the properties, `basic.properties`.
    pub const fn owner(&self) -> &'static str {
        self.owner
    }

    /// The field: `routing-key`.
    pub const fn field(&self) -> &'static str {
        self.field
    }

    /// The rule that it breaks.
    pub const fn rule(&self) -> Rule {
        self.rule
    }

    /// What it holds, as [`FieldRef`] displays it: a string in quotes, cut short if it is long. Empty if the field
    /// holds credentials.
    pub fn value(&self) -> &str {
        &self.value
    }
}

fn shown(value: &str) -> &str {
    if value.is_empty() { "what it holds" } else { value }
}

/// All violations, in the order of the fields. Rules that look at the method that is answered are skipped without it.
pub(crate) fn violations(
    owner: &dyn Reflect,
    profile: Profile,
    request: Option<&dyn Reflect>,
) -> Vec<ValidationError> {
    let mut violations = Vec::new();
    for (info, value) in owner.fields() {
        for rule in info.rules {
            if !is_kept(rule, info, value, profile, request) {
                let value = if info.secret { String::new() } else { value.to_string() };
                violations.push(ValidationError {
                    owner: owner.name(),
                    field: info.name,
                    rule: *rule,
                    value: value.into(),
                });
            }
        }
    }
    violations
}

fn is_kept(
    rule: &Rule,
    info: &FieldInfo,
    value: FieldRef<'_>,
    profile: Profile,
    request: Option<&dyn Reflect>,
) -> bool {
    let pamqp = profile == Profile::Pamqp;
    match rule {
        Rule::NotNull => match value {
            FieldRef::ShortStr(text) => pamqp || !text.is_empty(),
            FieldRef::LongStr(text) => pamqp || !text.is_empty(),
            FieldRef::Table(table) => pamqp || !table.is_empty(),
            _ => true,
        },
        Rule::MaxLength(length) => {
            (pamqp && info.domain == Some(QUEUE_NAME))
                || value.as_bytes().is_none_or(|octets| octets.len() as u64 <= u64::from(*length))
        }
        Rule::Pattern(pattern) => value.as_bytes().is_none_or(|octets| {
            let also = if pamqp && NAMES.contains(&info.domain) { PAMQP_OCTETS } else { &[] };
            octets.iter().all(|octet| pattern.allows(*octet) || also.contains(octet))
        }),
        Rule::Among(values) => value.as_u64().is_none_or(|number| values.contains(&number)),
        Rule::AtMost { method, field } => {
            let Some(request) = request.filter(|request| request.name() == *method) else {
                return true;
            };
            match (value.as_u64(), request.field(field).and_then(|limit| limit.as_u64())) {
                (Some(number), Some(limit)) => limit == 0 || (number != 0 && number <= limit),
                _ => true,
            }
        }
    }
}
