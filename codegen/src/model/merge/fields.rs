//! Fields: their domains are resolved, and those that an overlay repeats are compared with those that are there.

use crate::model::{Field, FieldDefault, WireType};
use crate::problem::{ProblemKind, resembling};
use crate::schema::{self, FieldKind, Position};

use super::{Merger, checks, names};

impl Merger {
    pub(super) fn fields(&mut self, fields: &[schema::Field], parent: &str) -> Vec<Field> {
        fields.iter().map(|field| self.field(field, &format!("{parent}.{}", field.name))).collect()
    }

    fn field(&mut self, field: &schema::Field, path: &str) -> Field {
        let mut resolved = Field {
            name: field.name.clone(),
            domain: None,
            // Stands in for a type that isn't known; the problem noted keeps it from being emitted.
            wire_type: WireType::Octet,
            reserved: field.reserved,
            required: field.required.unwrap_or(true),
            default: FieldDefault::Zero,
            secret: field.secret.unwrap_or_default(),
            docs: field.docs.clone(),
            asserts: Vec::new(),
            position: field.position.clone(),
        };
        let wire_type = match &field.kind {
            FieldKind::Type(name) => {
                let wire_type = WireType::named(name);
                if wire_type.is_none() {
                    self.unknown_type(&field.position, path, name);
                }
                wire_type
            }
            FieldKind::Domain(name) => {
                resolved.domain = Some(name.clone());
                self.domain_of(&mut resolved, name, path)
            }
        };
        resolved.asserts.extend_from_slice(&field.asserts);
        // Without a type, nobody knows what a default may be.
        if let Some(wire_type) = wire_type {
            resolved.wire_type = wire_type;
            if let Some(default) = self.default(field, wire_type, path) {
                resolved.default = default;
            }
        }
        resolved
    }

    /// Has the field inherit from its domain, and gives the type that it has therefore.
    fn domain_of(&mut self, field: &mut Field, name: &str, path: &str) -> Option<WireType> {
        if let Some(domain) = self.model.domain(name) {
            field.asserts.clone_from(&domain.asserts);
            if field.docs.is_silent() {
                let own = std::mem::take(&mut field.docs.rules);
                field.docs.clone_from(&domain.docs);
                field.docs.rules.extend(own);
            }
            return Some(domain.wire_type);
        }
        let domains = self.model.domains.iter();
        let kind = ProblemKind::UnknownDomain {
            name: name.to_owned(),
            suggestion: resembling(name, domains.map(|domain| domain.name.as_str())),
        };
        self.note(&field.position, path, kind);
        None
    }

    /// What `default` says, if it is there and says something that the field can hold.
    fn default(
        &mut self,
        field: &schema::Field,
        wire_type: WireType,
        path: &str,
    ) -> Option<FieldDefault> {
        let value = field.default.as_ref()?;
        let number = |largest: u64| {
            let number = value.parse().ok().filter(|number| *number <= largest);
            let default = number.map(|number| {
                if number == 0 { FieldDefault::Zero } else { FieldDefault::Number(number) }
            });
            default.ok_or_else(|| format!("a number from 0 to {largest}"))
        };
        let text = |most: usize| match value.len() {
            0 => Ok(FieldDefault::Zero),
            len if len <= most => Ok(FieldDefault::Text(value.clone())),
            _ => Err(format!("at most {most} octets")),
        };
        let default = match wire_type {
            _ if field.reserved => Err("none: the field is reserved".to_owned()),
            WireType::Bit => match value.as_str() {
                "0" => Ok(FieldDefault::Zero),
                "1" => Ok(FieldDefault::True),
                _ => Err(r#""0" or "1""#.to_owned()),
            },
            WireType::Octet => number(u8::MAX.into()),
            WireType::Short => number(u16::MAX.into()),
            WireType::Long => number(u32::MAX.into()),
            WireType::LongLong | WireType::Timestamp => number(u64::MAX),
            WireType::ShortStr => text(u8::MAX.into()),
            WireType::LongStr => text(u16::MAX.into()),
            WireType::Table => Err("none: a table is empty by default".to_owned()),
        };
        match default {
            Ok(default) => Some(default),
            Err(expected) => {
                let attribute = "default".to_owned();
                let value = value.clone();
                let kind = ProblemKind::BadValue { attribute, value, expected };
                self.note(&field.position, path, kind);
                None
            }
        }
    }

    /// An overlay names the fields of a method or class again: all of them, as they are. It may mark one as secret, and
    /// add documentation.
    pub(super) fn repeated_fields(
        &mut self,
        at: (&Position, &Position),
        known: &mut [Field],
        new: &[schema::Field],
        path: &str,
        what: &'static str,
    ) {
        if !known.iter().map(|field| &field.name).eq(new.iter().map(|field| &field.name)) {
            let was = names(known.iter().map(|field| &field.name));
            let now = names(new.iter().map(|field| &field.name));
            self.redefined(at, path, what, was, now);
            return;
        }
        for (known, new) in known.iter_mut().zip(new) {
            self.repeated_field(known, new, &format!("{path}.{}", new.name));
        }
    }

    fn repeated_field(&mut self, known: &mut Field, new: &schema::Field, path: &str) {
        let first = known.position.clone();
        let at = (&first, &new.position);
        let was = match &known.domain {
            Some(domain) => format!("domain {domain}"),
            None => format!("type {}", known.wire_type),
        };
        let now = match &new.kind {
            FieldKind::Domain(domain) => format!("domain {domain}"),
            FieldKind::Type(wire_type) => format!("type {wire_type}"),
        };
        let same_kind = was == now;
        self.unchanged(at, path, "what it is made of", Some(was), Some(now));
        let flags = [
            ("reserved", known.reserved, Some(new.reserved)),
            ("required", known.required, new.required),
        ];
        for (attribute, was, now) in flags {
            self.unchanged(at, path, attribute, Some(u8::from(was)), now.map(u8::from));
        }
        if same_kind {
            let now = self.default(new, known.wire_type, path);
            self.unchanged(at, path, "the default", Some(known.default.clone()), now);
        }
        match new.secret {
            // What was shown so far may be hidden: that contradicts nothing.
            Some(true) => known.secret = true,
            now => {
                let (was, now) = (u8::from(known.secret), now.map(u8::from));
                self.unchanged(at, path, "secret", Some(was), now);
            }
        }
        if !new.asserts.is_empty() {
            let domain = known.domain.as_ref().and_then(|name| self.model.domain(name));
            let inherited = domain.map_or(0, |domain| domain.asserts.len());
            let was = checks(known.asserts.get(inherited..).unwrap_or_default());
            self.unchanged(at, path, "the asserts", Some(was), Some(checks(&new.asserts)));
        }
        self.docs(at, &mut known.docs, &new.docs, path);
    }
}
