//! The content properties of a class, and the word of flags that says which of them are there.

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

use crate::model::{Class, Field, WireType};
use crate::names;

use super::{docs, fields};

pub(super) fn properties(class: &Class) -> TokenStream {
    if class.properties.is_empty() {
        return quote!();
    }
    let path = format!("{}.properties", class.name);
    let fields = fields_of(class);
    let all: Vec<Property<'_>> =
        fields.iter().enumerate().map(|(index, field)| Property::new(index, field)).collect();
    let kept = || all.iter().filter(|property| !property.field.reserved);
    let definitions = kept().map(|property| property.definition(&path));
    let setters = kept().map(Property::setter);
    let lens = kept().filter_map(Property::encoded_len);
    let tables = kept().filter(|property| property.field.wire_type == WireType::Table);
    let tables: Vec<_> = tables.map(|property| &property.name).collect();
    let has_tables = match &tables[..] {
        [] => quote!(false),
        tables => quote!(#(self.#tables.is_some())||*),
    };
    let flags = kept().map(Property::set_flag);
    let writes = kept().filter_map(|property| property.write(&path));
    let reads = all.iter().filter_map(|property| property.read(&path));
    let reflect = super::reflect::reflect(&super::reflect::Owner::Properties(class));
    let flags_path = format!("{path}.flags");
    let docs = docs::lines([
        format!(
            "The properties of a message of class `{}`: what its content header tells about it.",
            class.name
        ),
        String::new(),
        "Those that are `None` aren't sent.".to_owned(),
    ]);
    quote! {
        #docs
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Properties {
            #(#definitions,)*
        }

        impl Properties {
            #(#setters)*
        }

        impl wire::ContentProperties for Properties {
            const CLASS: &'static wire::schema::ClassInfo = CLASS;
        }

        #reflect

        impl wire::Layout for Properties {
            #[inline(always)]
            fn encoded_len(&self) -> usize {
                2 #(+ #lens)*
            }

            #[inline(always)]
            fn has_tables(&self) -> bool {
                #has_tables
            }

            #[inline(always)]
            fn write<S: wire::Sink>(&self, out: &mut S) -> Result<(), S::Error> {
                let mut flags: u16 = 0;
                #(#flags)*
                out.u16(flags)?;
                #(#writes)*
                Ok(())
            }

            /// Reads one word of flags. The bits of it that stand for no property are ignored, the one that announces
            /// another word too: brokers pass it on without there being another word.
            #[inline(always)]
            fn read<'a, S: wire::Source<'a>>(input: &mut S, whole: bool) -> Result<Self, S::Error> {
                let flags = input.u16(#flags_path)?;
                let mut properties = Self::default();
                #(#reads)*
                if whole {
                    input.end()?;
                }
                Ok(properties)
            }
        }

        wire::__serde_properties!(Properties);
    }
}

/// The properties as they are in Rust: a reply code among them is a plain number, which no known class has.
fn fields_of(class: &Class) -> Vec<Field> {
    let plain = |field: &Field| Field {
        domain: field.domain.clone().filter(|_| !field.is_reply_code()),
        ..field.clone()
    };
    class.properties.iter().map(plain).collect()
}

struct Property<'a> {
    field: &'a Field,
    /// The first property has the highest bit.
    flag: Literal,
    name: proc_macro2::Ident,
}

impl<'a> Property<'a> {
    fn new(index: usize, field: &'a Field) -> Self {
        let flag = 0x8000_u16 >> index;
        // Flags are read as masks.
        let flag = format!("0x{flag:04X}").parse().unwrap_or_else(|_| docs::number(flag));
        Self { field, flag, name: names::snake_ident(&field.name) }
    }

    /// A bit is told by its flag alone, so it is a `bool`, not an `Option`.
    fn is_bit(&self) -> bool {
        self.field.wire_type == WireType::Bit
    }

    fn definition(&self, path: &str) -> TokenStream {
        let docs = docs::field(path, self.field);
        let name = &self.name;
        let rust_type = fields::rust_type(self.field, &quote!(super::));
        let rust_type = if self.is_bit() { rust_type } else { quote!(Option<#rust_type>) };
        quote! {
            #docs
            pub #name: #rust_type
        }
    }

    fn setter(&self) -> TokenStream {
        let name = &self.name;
        let setter = format_ident!("with_{}", names::snake(&self.field.name));
        let rust_type = fields::rust_type(self.field, &quote!(super::));
        let value = if self.is_bit() { quote!(value) } else { quote!(Some(value)) };
        let docs = docs::lines([format!("With `{}` set.", self.field.name)]);
        quote! {
            #docs
            #[must_use]
            pub fn #setter(mut self, value: #rust_type) -> Self {
                self.#name = #value;
                self
            }
        }
    }

    fn encoded_len(&self) -> Option<TokenStream> {
        let name = &self.name;
        match fields::fixed_len(self.field) {
            Some(0) => None,
            Some(len) => {
                let len = docs::number(len as u64);
                Some(quote!(self.#name.map_or(0, |_| #len)))
            }
            None => Some(quote! {
                self.#name.as_ref().map_or(0, wire::Encode::encoded_len)
            }),
        }
    }

    fn set_flag(&self) -> TokenStream {
        let (name, flag) = (&self.name, &self.flag);
        let set = if self.is_bit() { quote!(self.#name) } else { quote!(self.#name.is_some()) };
        quote! {
            if #set {
                flags |= #flag;
            }
        }
    }

    fn write(&self, path: &str) -> Option<TokenStream> {
        if self.is_bit() {
            return None;
        }
        let name = &self.name;
        // Numbers are copied out, the others are borrowed.
        let (pattern, value) = if fields::fixed_len(self.field).is_some() {
            (quote!(value), quote!(self.#name))
        } else {
            (quote!(value), quote!(&self.#name))
        };
        let write = fields::write_value(self.field, path, &quote!(value), &quote!(value));
        Some(quote! {
            if let Some(#pattern) = #value {
                #write
            }
        })
    }

    /// The statement that reads it into `properties`, where it is not set yet.
    fn read(&self, path: &str) -> Option<TokenStream> {
        let (name, flag) = (&self.name, &self.flag);
        if self.is_bit() {
            let read = quote!(properties.#name = flags & #flag != 0;);
            return (!self.field.reserved).then_some(read);
        }
        let read = if self.field.reserved {
            fields::skip(self.field, path)
        } else {
            let value = fields::read_value(self.field, path, &quote!(super::));
            match (self.field.wire_type, fields::maker(self.field)) {
                (WireType::ShortStr, _) => quote!(S::fill_short(&mut properties.#name, #value);),
                (_, Some(maker)) => quote!(properties.#name = Some(S::#maker(#value));),
                (_, None) => quote!(properties.#name = Some(#value);),
            }
        };
        Some(quote! {
            if flags & #flag != 0 {
                #read
            }
        })
    }
}
