//! The enums of methods: all of them, those a client may receive, and those a server may receive.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use crate::model::{Class, Method, Model};
use crate::names;
use crate::schema::Role;

use super::docs;

pub(super) fn enums(model: &Model) -> TokenStream {
    let all: Vec<Entry> =
        model.methods().map(|(class, method)| Entry::new(class, method)).collect();
    let received_by = |role| -> Vec<&Entry> {
        let entries = model.methods().zip(&all);
        entries
            .filter(|((_, method), _)| method.received_by(role))
            .map(|(_, entry)| entry)
            .collect()
    };
    let to_client = received_by(Role::Client);
    let to_server = received_by(Role::Server);
    let any = method_enum(
        &format_ident!("AnyMethod"),
        "Any method, whoever sends it.",
        &all.iter().collect::<Vec<_>>(),
    );
    let client = method_enum(
        &format_ident!("ToClient"),
        "A method that a client may receive: a `match` on it is exhaustive over what can arrive.",
        &to_client,
    );
    let server = method_enum(
        &format_ident!("ToServer"),
        "A method that a server may receive: a `match` on it is exhaustive over what can arrive.",
        &to_server,
    );
    let client_to_any = widen(&format_ident!("ToClient"), &to_client);
    let server_to_any = widen(&format_ident!("ToServer"), &to_server);
    let client_from_any = receivable(&format_ident!("ToClient"), &to_client, all.len());
    let server_from_any = receivable(&format_ident!("ToServer"), &to_server, all.len());
    let narrow = all.iter().map(narrow);
    let lookup = lookup(&all);
    quote! {
        #any
        #client
        #server
        #client_to_any
        #server_to_any
        #client_from_any
        #server_from_any
        #(#narrow)*
        #lookup

        ::amqp091_types::__serde_protocol!(CLASSES, ReplyCode, AnyMethod, ToClient, ToServer);
    }
}

struct Entry {
    variant: Ident,
    path: TokenStream,
    docs: TokenStream,
    class_id: proc_macro2::Literal,
    method_id: proc_macro2::Literal,
    name: String,
}

impl Entry {
    fn new(class: &Class, method: &Method) -> Self {
        let module = names::snake_ident(&class.name);
        let type_name = names::camel_ident(&method.name);
        let name = format!("{}.{}", class.name, method.name);
        let summary = docs::summary(&method.docs).unwrap_or_else(|| "A method.".to_owned());
        Self {
            variant: format_ident!("{}{}", names::camel(&class.name), names::camel(&method.name)),
            docs: docs::lines([format!("`{name}`: {summary}")]),
            path: quote!(#module::#type_name),
            class_id: docs::number(class.index),
            method_id: docs::number(method.index),
            name,
        }
    }
}

fn method_enum(name: &Ident, summary: &str, entries: &[&Entry]) -> TokenStream {
    let docs = docs::lines([summary]);
    let variants = entries.iter().map(|entry| {
        let Entry { variant, docs, path, .. } = entry;
        quote! {
            #docs
            #variant(#path)
        }
    });
    let variant: Vec<_> = entries.iter().map(|entry| &entry.variant).collect();
    let path: Vec<_> = entries.iter().map(|entry| &entry.path).collect();
    let class_id: Vec<_> = entries.iter().map(|entry| &entry.class_id).collect();
    let method_id: Vec<_> = entries.iter().map(|entry| &entry.method_id).collect();
    // Without variants, nothing else would satisfy the compiler.
    let by_reference = if entries.is_empty() { quote!(*self) } else { quote!(self) };
    let unused = entries.is_empty().then(|| quote!(let _ = &out;));
    let unset = entries.is_empty().then(|| quote!(let _ = index;));
    let unread = entries.is_empty().then(|| quote!(let _ = &input;));
    quote! {
        #docs
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(
            clippy::large_enum_variant,
            reason = "an allocation for every method would cost more than moving it"
        )]
        pub enum #name {
            #(#variants,)*
        }

        impl #name {
            /// Its class and method ids.
            #[must_use]
            pub const fn id(&self) -> ::amqp091_types::MethodId {
                match #by_reference {
                    #(Self::#variant(_) => <#path as ::amqp091_types::Method>::ID,)*
                }
            }

            /// All that the specification says about it.
            #[must_use]
            pub const fn info(&self) -> &'static ::amqp091_types::schema::MethodInfo {
                match #by_reference {
                    #(Self::#variant(_) => <#path as ::amqp091_types::Method>::INFO,)*
                }
            }

            /// The method with these ids, its arguments as they are by default; `None` if there is none of it here.
            #[must_use]
            pub fn new(id: ::amqp091_types::MethodId) -> Option<Self> {
                match (id.class_id, id.method_id) {
                    #((#class_id, #method_id) => Some(Self::#variant(::core::default::Default::default())),)*
                    _ => None,
                }
            }

            /// Its name in the specification, with that of its class: `basic.publish`.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match #by_reference {
                    #(Self::#variant(_) => <#path as ::amqp091_types::Method>::NAME,)*
                }
            }

            /// Whether a content header follows it.
            #[must_use]
            pub const fn has_content(&self) -> bool {
                match #by_reference {
                    #(Self::#variant(_) => <#path as ::amqp091_types::Method>::HAS_CONTENT,)*
                }
            }

            /// Reads a method from a method frame's payload: class id, method id, arguments, and nothing may be left over.
            ///
            /// # Errors
            ///
            /// If there are fewer than four octets, and as [`decode`](Self::decode).
            pub fn from_payload(payload: &[u8]) -> Result<Self, ::amqp091_types::MethodError> {
                let mut input = ::amqp091_types::Reader::new(payload);
                match <::amqp091_types::MethodId as ::amqp091_types::Decode>::decode(&mut input) {
                    Ok(id) => Self::decode(id, &mut input),
                    Err(source) => Err(::amqp091_types::MethodError::Number { source }),
                }
            }

            /// Reads the arguments of the method with these ids, and nothing may be left over.
            ///
            /// # Errors
            ///
            /// If the specification has no such method, or not in this direction, or if the arguments are malformed.
            pub fn decode(
                id: ::amqp091_types::MethodId,
                input: &mut ::amqp091_types::Reader<'_>,
            ) -> Result<Self, ::amqp091_types::MethodError> {
                #unread
                match (id.class_id, id.method_id) {
                    #((#class_id, #method_id) => arguments(id, input, Self::#variant),)*
                    _ => Err(refused(id)),
                }
            }
        }

        /// The fields of the method that it is.
        impl ::amqp091_types::Reflect for #name {
            fn name(&self) -> &'static str {
                Self::name(self)
            }

            fn schema(&self) -> &'static [::amqp091_types::schema::FieldInfo] {
                self.info().fields
            }

            fn field_at(&self, index: usize) -> Option<::amqp091_types::FieldRef<'_>> {
                self.as_reflect().field_at(index)
            }

            fn field_mut_at(&mut self, index: usize) -> Option<::amqp091_types::FieldMut<'_>> {
                #unset
                match #by_reference {
                    #(Self::#variant(method) => ::amqp091_types::Reflect::field_mut_at(method, index),)*
                }
            }

            fn as_reflect(&self) -> &dyn ::amqp091_types::Reflect {
                match #by_reference {
                    #(Self::#variant(method) => method,)*
                }
            }
        }

        /// The arguments only; the ids before them are the frame's.
        impl ::amqp091_types::Encode for #name {
            fn encoded_len(&self) -> usize {
                match #by_reference {
                    #(Self::#variant(method) => ::amqp091_types::Encode::encoded_len(method),)*
                }
            }

            fn encode(
                &self,
                out: &mut ::amqp091_types::Writer<'_>,
            ) -> Result<(), ::amqp091_types::EncodeError> {
                #unused
                match #by_reference {
                    #(Self::#variant(method) => ::amqp091_types::Encode::encode(method, out),)*
                }
            }

            fn encode_quickly(&self, out: &mut ::amqp091_types::QuickWriter<'_>) -> Option<()> {
                #unused
                match #by_reference {
                    #(Self::#variant(method) => ::amqp091_types::Encode::encode_quickly(method, out),)*
                }
            }
        }

        #(
            impl From<#path> for #name {
                fn from(method: #path) -> Self {
                    Self::#variant(method)
                }
            }
        )*
    }
}

/// Every method of one direction is a method.
fn widen(from: &Ident, entries: &[&Entry]) -> TokenStream {
    let variants = entries.iter().map(|entry| &entry.variant);
    quote! {
        impl From<#from> for AnyMethod {
            fn from(method: #from) -> Self {
                match method {
                    #(#from::#variants(method) => Self::#variants(method),)*
                }
            }
        }
    }
}

/// Any method is one of a direction, or is given back.
fn receivable(to: &Ident, entries: &[&Entry], all: usize) -> TokenStream {
    let variants = entries.iter().map(|entry| &entry.variant);
    let others = (entries.len() < all).then(|| quote!(other => Err(other),));
    quote! {
        impl TryFrom<AnyMethod> for #to {
            /// The method itself, if this side doesn't receive it.
            type Error = AnyMethod;

            fn try_from(method: AnyMethod) -> Result<Self, Self::Error> {
                match method {
                    #(AnyMethod::#variants(method) => Ok(Self::#variants(method)),)*
                    #others
                }
            }
        }
    }
}

/// Any method is a certain one, or is given back.
fn narrow(entry: &Entry) -> TokenStream {
    let Entry { variant, path, .. } = entry;
    quote! {
        impl TryFrom<AnyMethod> for #path {
            /// The method itself, if it is another one.
            type Error = AnyMethod;

            fn try_from(method: AnyMethod) -> Result<Self, Self::Error> {
                match method {
                    AnyMethod::#variant(method) => Ok(method),
                    other => Err(other),
                }
            }
        }
    }
}

fn lookup(entries: &[Entry]) -> TokenStream {
    let class_ids = entries.iter().map(|entry| &entry.class_id);
    let method_ids = entries.iter().map(|entry| &entry.method_id);
    let names = entries.iter().map(|entry| &entry.name);
    quote! {
        /// The name of the method with these ids, `basic.publish`; `None` if the specification has no such method.
        #[must_use]
        pub const fn method_name(
            id: ::amqp091_types::MethodId,
        ) -> Option<&'static str> {
            match (id.class_id, id.method_id) {
                #((#class_ids, #method_ids) => Some(#names),)*
                _ => None,
            }
        }

        /// Reads arguments, and refuses what is left over behind them.
        fn arguments<T: ::amqp091_types::Decode, E>(
            id: ::amqp091_types::MethodId,
            input: &mut ::amqp091_types::Reader<'_>,
            wrap: impl FnOnce(T) -> E,
        ) -> Result<E, ::amqp091_types::MethodError> {
            if let Some(method) = <T as ::amqp091_types::Decode>::decode_quickly(input.rest()) {
                return Ok(wrap(method));
            }
            arguments_at_length(id, input, wrap)
        }

        /// The same for whatever is unusual, and with a word about what is wrong.
        #[cold]
        #[inline(never)]
        fn arguments_at_length<T: ::amqp091_types::Decode, E>(
            id: ::amqp091_types::MethodId,
            input: &mut ::amqp091_types::Reader<'_>,
            wrap: impl FnOnce(T) -> E,
        ) -> Result<E, ::amqp091_types::MethodError> {
            match <T as ::amqp091_types::Decode>::decode(input) {
                Ok(method) => match input.clone().finish() {
                    Ok(()) => Ok(wrap(method)),
                    Err(source) => Err(::amqp091_types::MethodError::Arguments { id, source }),
                }
                Err(source) => Err(::amqp091_types::MethodError::Arguments { id, source }),
            }
        }

        /// Why a method isn't accepted: unknown, or known but not here.
        #[cold]
        fn refused(id: ::amqp091_types::MethodId) -> ::amqp091_types::MethodError {
            if method_name(id).is_some() {
                ::amqp091_types::MethodError::NotExpected { id }
            } else {
                ::amqp091_types::MethodError::Unknown { id }
            }
        }
    }
}
