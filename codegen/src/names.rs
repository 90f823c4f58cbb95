//! Names of the specification to names of Rust; pure functions.
//!
//! `routing-key` becomes `routing_key` (field), `RoutingKey` (type) or `ROUTING_KEY` (constant). Two spellings of one
//! thing become one name, keywords become raw identifiers, and the few words that can't be raw get an underscore.

use proc_macro2::{Ident, Span};

/// Spellings of the published files that mean the same as another: `confirm.select` says `nowait`, all others `no-wait`.
const SPELLINGS: &[(&str, &str)] = &[("nowait", "no-wait")];

/// Keywords of the 2024 edition, strict and reserved, that can be raw identifiers.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let",
    "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return",
    "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use",
    "virtual", "where", "while", "yield",
];

/// Words that can't be raw identifiers.
const NEVER_RAW: &[&str] = &["crate", "self", "super", "Self"];

/// Names of the prelude that generated code uses where a type of that name would be meant instead.
const PRELUDE: &[&str] = &["Err", "None", "Ok", "Option", "Result", "Some"];

/// Whether a name is lower-case words joined by hyphens, the only form that can be turned into Rust.
pub(crate) fn is_kebab(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.split('-').all(|word| {
            !word.is_empty()
                && word.bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit())
        })
}

/// `routing-key` to `routing_key`. May be a keyword: for use inside longer names.
pub(crate) fn snake(name: &str) -> String {
    spelling(name).replace('-', "_")
}

/// `routing-key` to `routing_key`, `type` to `r#type`: fields, modules, functions.
pub(crate) fn snake_ident(name: &str) -> Ident {
    ident(&snake(name))
}

/// `get-ok` to `GetOk`. For use inside longer names.
pub(crate) fn camel(name: &str) -> String {
    spelling(name)
        .split('-')
        .map(|word| {
            let mut characters = word.chars();
            characters
                .next()
                .map(|first| first.to_ascii_uppercase())
                .into_iter()
                .chain(characters)
                .collect::<String>()
        })
        .collect()
}

/// `get-ok` to `GetOk`, `ok` to `Ok_`: types and variants.
pub(crate) fn camel_ident(name: &str) -> Ident {
    let name = camel(name);
    if PRELUDE.contains(&name.as_str()) { ident(&format!("{name}_")) } else { ident(&name) }
}

/// `frame-end` to `FRAME_END`: constants.
pub(crate) fn constant(name: &str) -> String {
    snake(name).to_ascii_uppercase()
}

/// As [`constant`].
pub(crate) fn constant_ident(name: &str) -> Ident {
    ident(&constant(name))
}

fn spelling(name: &str) -> &str {
    SPELLINGS.iter().find(|(spelling, _)| *spelling == name).map_or(name, |(_, meaning)| meaning)
}

/// The parse stage has refused every name that isn't an identifier but for being a keyword.
fn ident(name: &str) -> Ident {
    if NEVER_RAW.contains(&name) {
        Ident::new(&format!("{name}_"), Span::call_site())
    } else if KEYWORDS.contains(&name) {
        Ident::new_raw(name, Span::call_site())
    } else {
        Ident::new(name, Span::call_site())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kebab_names() {
        for name in ["ack", "get-ok", "reserved-1", "a1", "x"] {
            assert!(is_kebab(name), "{name}");
        }
        for name in ["", "-", "a-", "-a", "a--b", "1a", "Ack", "get_ok", "a b", "é", "r#a"] {
            assert!(!is_kebab(name), "{name}");
        }
    }

    #[test]
    fn every_case() {
        for (name, field, type_name, constant) in [
            ("ack", "ack", "Ack", "ACK"),
            ("routing-key", "routing_key", "RoutingKey", "ROUTING_KEY"),
            ("reserved-1", "reserved_1", "Reserved1", "RESERVED_1"),
            ("no-wait", "no_wait", "NoWait", "NO_WAIT"),
            ("nowait", "no_wait", "NoWait", "NO_WAIT"),
            ("type", "r#type", "Type", "TYPE"),
            ("return", "r#return", "Return", "RETURN"),
            ("gen", "r#gen", "Gen", "GEN"),
            ("try", "r#try", "Try", "TRY"),
            ("async", "r#async", "Async", "ASYNC"),
            ("self", "self_", "Self_", "SELF"),
            ("super", "super_", "Super", "SUPER"),
            ("crate", "crate_", "Crate", "CRATE"),
            ("ok", "ok", "Ok_", "OK"),
            ("none", "none", "None_", "NONE"),
            ("option", "option", "Option_", "OPTION"),
            ("get-ok", "get_ok", "GetOk", "GET_OK"),
            ("type-of", "type_of", "TypeOf", "TYPE_OF"),
        ] {
            assert_eq!(snake_ident(name).to_string(), field);
            assert_eq!(camel_ident(name).to_string(), type_name);
            assert_eq!(constant_ident(name).to_string(), constant);
        }
    }

    #[test]
    fn inside_longer_names_nothing_is_raw() {
        assert_eq!(snake("type"), "type");
        assert_eq!(camel("self"), "Self");
    }

    #[test]
    fn every_keyword_parses_as_an_identifier() {
        for keyword in KEYWORDS.iter().chain(NEVER_RAW) {
            let text = ident(keyword).to_string();
            assert!(syn::parse_str::<Ident>(&text).is_ok(), "{text}");
        }
    }
}
