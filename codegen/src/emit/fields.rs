//! Fields in the order of the wire: bits gathered into octets, and the code that measures, writes and reads each step.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};

use crate::model::{Field, WireType};
use crate::names;

use super::docs;

/// How many bits share an octet.
const BITS: usize = 8;

/// What is written or read at once.
pub(super) enum Step<'a> {
    /// Consecutive bits, at most eight: one octet, the first bit the least significant.
    Bits(Vec<&'a Field>),
    /// Any other field.
    One(&'a Field),
}

/// Gathers consecutive bits; the ninth of them begins the next octet, as does the first after any other field.
pub(super) fn steps(fields: &[Field]) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for field in fields {
        match (field.wire_type, steps.last_mut()) {
            (WireType::Bit, Some(Step::Bits(bits))) if bits.len() < BITS => bits.push(field),
            (WireType::Bit, _) => steps.push(Step::Bits(vec![field])),
            _ => steps.push(Step::One(field)),
        }
    }
    steps
}

/// The Rust type that holds a field.
pub(super) fn rust_type(field: &Field, to_root: &TokenStream) -> TokenStream {
    if field.is_reply_code() {
        return quote!(#to_root ReplyCode);
    }
    match field.wire_type {
        WireType::Bit => quote!(bool),
        WireType::Octet => quote!(u8),
        WireType::Short => quote!(u16),
        WireType::Long => quote!(u32),
        WireType::LongLong => quote!(u64),
        WireType::ShortStr => quote!(wire::ShortStr),
        WireType::LongStr => quote!(wire::LongStr),
        WireType::Timestamp => quote!(wire::Timestamp),
        WireType::Table => quote!(wire::FieldTable),
    }
}

/// How many octets a field always takes; `None` if that depends on what it holds. A lone bit takes none: its octet does.
pub(super) fn fixed_len(field: &Field) -> Option<usize> {
    match field.wire_type {
        WireType::Bit => Some(0),
        WireType::Octet => Some(1),
        WireType::Short => Some(2),
        WireType::Long => Some(4),
        WireType::LongLong | WireType::Timestamp => Some(8),
        // What is reserved is written empty.
        WireType::ShortStr if field.reserved => Some(1),
        WireType::LongStr | WireType::Table if field.reserved => Some(4),
        WireType::ShortStr | WireType::LongStr | WireType::Table => None,
    }
}

/// The sum of the lengths of all steps.
pub(super) fn encoded_len(steps: &[Step<'_>]) -> TokenStream {
    let mut fixed = 0;
    let mut terms = Vec::new();
    for step in steps {
        match step {
            Step::Bits(_) => fixed += 1,
            Step::One(field) => match fixed_len(field) {
                Some(len) => fixed += len,
                None => {
                    let name = names::snake_ident(&field.name);
                    terms.push(quote!(wire::Encode::encoded_len(&self.#name)));
                }
            },
        }
    }
    if fixed > 0 || terms.is_empty() {
        terms.insert(0, docs::number(fixed as u64).into_token_stream());
    }
    quote!(#(#terms)+*)
}

/// The statement that writes a step, of which `value` names the parts.
pub(super) fn write(step: &Step<'_>, path: &str) -> TokenStream {
    match step {
        Step::Bits(bits) => {
            let bits = bits.iter().map(|bit| {
                if bit.reserved {
                    quote!(false)
                } else {
                    let name = names::snake_ident(&bit.name);
                    quote!(self.#name)
                }
            });
            quote!(out.bits([#(#bits),*])?;)
        }
        Step::One(field) if field.reserved => match field.wire_type {
            WireType::Bit => quote!(),
            WireType::Octet | WireType::ShortStr => quote!(out.u8(0)?;),
            WireType::Short => quote!(out.u16(0)?;),
            WireType::Long | WireType::LongStr | WireType::Table => quote!(out.u32(0)?;),
            WireType::LongLong | WireType::Timestamp => quote!(out.u64(0)?;),
        },
        Step::One(field) => {
            let name = names::snake_ident(&field.name);
            let (by_value, by_reference) = (quote!(self.#name), quote!(&self.#name));
            write_value(field, path, &by_value, &by_reference)
        }
    }
}

/// The statement that writes a field which isn't a bit.
pub(super) fn write_value(
    field: &Field,
    path: &str,
    by_value: &TokenStream,
    by_reference: &TokenStream,
) -> TokenStream {
    let path = format!("{path}.{}", field.name);
    if field.is_reply_code() {
        return quote!(out.u16(#by_value.0)?;);
    }
    match field.wire_type {
        WireType::Bit => quote!(),
        WireType::Octet => quote!(out.u8(#by_value)?;),
        WireType::Short => quote!(out.u16(#by_value)?;),
        WireType::Long => quote!(out.u32(#by_value)?;),
        WireType::LongLong => quote!(out.u64(#by_value)?;),
        WireType::ShortStr => quote!(out.short_str(#by_reference)?;),
        WireType::LongStr => quote!(out.long_str(#by_reference, #path)?;),
        WireType::Timestamp => quote!(out.timestamp(#by_value)?;),
        WireType::Table => quote!(out.table(#by_reference, #path)?;),
    }
}

/// The statement that reads a step into local variables.
pub(super) fn read(step: &Step<'_>, path: &str) -> TokenStream {
    match step {
        Step::Bits(bits) => {
            let path = format!("{path}.{}", bits.first().map_or("", |bit| &bit.name));
            if bits.iter().all(|bit| bit.reserved) {
                return quote!(input.u8(#path)?;);
            }
            let bits = bits
                .iter()
                .map(|bit| if bit.reserved { quote!(_) } else { local(bit).into_token_stream() });
            quote!(let [#(#bits),*] = input.bits(#path)?;)
        }
        Step::One(field) if field.reserved => skip(field, path),
        Step::One(field) => {
            let local = local(field);
            let value = read_value(field, path, &quote!(super::));
            quote!(let #local = #value;)
        }
    }
}

/// The statement that reads past a reserved field which isn't a bit, without a look at it.
pub(super) fn skip(field: &Field, path: &str) -> TokenStream {
    let path = format!("{path}.{}", field.name);
    match field.wire_type {
        WireType::ShortStr => quote!(input.skip_short(#path)?;),
        WireType::LongStr => quote!(input.skip_long(#path)?;),
        WireType::Table => quote!(input.skip_long(#path)?;),
        WireType::Bit => quote!(),
        WireType::Octet => quote!(input.u8(#path)?;),
        WireType::Short => quote!(input.u16(#path)?;),
        WireType::Long => quote!(input.u32(#path)?;),
        WireType::LongLong | WireType::Timestamp => quote!(input.u64(#path)?;),
    }
}

/// The expression that reads a field which isn't a bit.
pub(super) fn read_value(field: &Field, path: &str, to_root: &TokenStream) -> TokenStream {
    let path = format!("{path}.{}", field.name);
    if field.is_reply_code() {
        return quote!(#to_root ReplyCode(input.u16(#path)?));
    }
    match field.wire_type {
        WireType::Bit => quote!(true),
        WireType::Octet => quote!(input.u8(#path)?),
        WireType::Short => quote!(input.u16(#path)?),
        WireType::Long => quote!(input.u32(#path)?),
        WireType::LongLong => quote!(input.u64(#path)?),
        WireType::ShortStr => quote!(input.short(#path)?),
        WireType::LongStr => quote!(input.long(#path)?),
        WireType::Timestamp => quote!(input.timestamp(#path)?),
        WireType::Table => quote!(input.table(#path)?),
    }
}

/// `name: value`, the value made of what was read.
pub(super) fn made(field: &Field) -> TokenStream {
    let name = names::snake_ident(&field.name);
    let local = local(field);
    match maker(field) {
        Some(maker) => quote!(#name: S::#maker(#local)),
        None if name == local => quote!(#name),
        None => quote!(#name: #local),
    }
}

/// What makes the value, for the types whose values are more than what is read.
pub(super) fn maker(field: &Field) -> Option<proc_macro2::Ident> {
    match field.wire_type {
        WireType::ShortStr => Some(format_ident!("make_short")),
        WireType::LongStr => Some(format_ident!("make_long")),
        WireType::Table => Some(format_ident!("make_table")),
        _ => None,
    }
}

/// The variable that a field is read into: named as the field, but never as another variable around it.
pub(super) fn local(field: &Field) -> proc_macro2::Ident {
    let name = names::snake_ident(&field.name);
    if ["input", "flags", "whole"].iter().any(|taken| name == taken) {
        format_ident!("{name}_")
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FieldDefault;
    use crate::schema::{Docs, Position};

    fn field(name: &str, wire_type: WireType) -> Field {
        Field {
            name: name.to_owned(),
            domain: None,
            wire_type,
            reserved: false,
            required: true,
            default: FieldDefault::default(),
            secret: false,
            docs: Docs::default(),
            asserts: Vec::new(),
            position: Position { source: 0, line: 1, column: 1, file: "a.xml".into() },
        }
    }

    /// A `b` is a bit, anything else isn't; octets are counted in bits, other steps are 0.
    fn shape(kinds: &str) -> Vec<usize> {
        let fields: Vec<Field> = kinds
            .chars()
            .map(|kind| match kind {
                'b' => field("bit", WireType::Bit),
                _ => field("other", WireType::Octet),
            })
            .collect();
        steps(&fields)
            .iter()
            .map(|step| match step {
                Step::Bits(bits) => bits.len(),
                Step::One(_) => 0,
            })
            .collect()
    }

    #[test]
    fn bits_share_octets() {
        assert_eq!(shape(""), []);
        assert_eq!(shape("bbb"), [3]);
        assert_eq!(shape("bbbbbbbb"), [8]);
        assert_eq!(shape("bbbbbbbbb"), [8, 1]);
        assert_eq!(shape("bbxbb"), [2, 0, 2]);
        assert_eq!(shape("xbx"), [0, 1, 0]);
        assert_eq!(shape(&"b".repeat(17)), [8, 8, 1]);
    }

    #[test]
    fn lengths_that_are_known_are_summed_up() {
        let mut reserved = field("reserved-1", WireType::Table);
        reserved.reserved = true;
        let fields = [
            field("a", WireType::Short),
            field("b", WireType::Bit),
            field("c", WireType::Bit),
            reserved,
        ];
        assert_eq!(encoded_len(&steps(&fields)).to_string(), "7");
        assert_eq!(encoded_len(&[]).to_string(), "0");
    }
}
