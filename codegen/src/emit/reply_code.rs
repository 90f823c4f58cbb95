//! `ReplyCode`, a number that may be one the specification doesn't know, and `ErrorKind`.

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::{Model, SUCCESS};
use crate::names;
use crate::schema::ErrorClass;

use super::docs;

pub(super) fn reply_code(model: &Model) -> TokenStream {
    let mut codes: Vec<_> = model.reply_codes().collect();
    codes.sort_by_key(|code| code.value);
    let constants = codes.iter().map(|code| {
        let ends = code.class.map(|class| {
            match class {
                ErrorClass::Soft => {
                    "A soft error: where it closes anything, it closes the channel."
                }
                ErrorClass::Hard => "A hard error: it closes the connection.",
            }
            .to_owned()
        });
        let docs = docs::constant(code, ends);
        let ident = names::constant_ident(&code.name);
        let value = docs::number(code.value);
        quote! {
            #docs
            pub const #ident: Self = Self(#value);
        }
    });
    let names_of = model.reply_codes().map(|code| {
        let ident = names::constant_ident(&code.name);
        let name = names::constant(&code.name);
        quote!(Self::#ident => Some(#name))
    });
    let descriptions = codes.iter().filter_map(|code| {
        let ident = names::constant_ident(&code.name);
        let text = docs::plain(&code.docs)?;
        Some(quote!(Self::#ident => Some(#text)))
    });
    let all = codes.iter().map(|code| names::constant_ident(&code.name));
    let errors = |recoverable: bool| {
        let codes: Vec<_> = codes
            .iter()
            .filter(|code| code.class.is_some() && code.recoverable == recoverable)
            .map(|code| names::constant_ident(&code.name))
            .collect();
        (!codes.is_empty()).then(|| quote!(#(Self::#codes)|* => Some(#recoverable),))
    };
    let (recoverable, irrecoverable) = (errors(true), errors(false));
    let kinds =
        [(ErrorClass::Soft, quote!(ErrorKind::Soft)), (ErrorClass::Hard, quote!(ErrorKind::Hard))]
            .into_iter()
            .map(|(class, kind)| {
                let codes: Vec<_> = model
                    .reply_codes()
                    .filter(|code| code.class == Some(class))
                    .map(|code| names::constant_ident(&code.name))
                    .collect();
                if codes.is_empty() { quote!() } else { quote!(#(Self::#codes)|* => Some(#kind),) }
            });
    let default = default(model);
    quote! {
        /// Why a channel or connection is closed, or a message returned: a number that stays what it is even if the
        /// specification doesn't know it. The associated constants are those that it knows.
        ///
        /// Displayed as brokers print it: `404 NOT_FOUND`, or the number alone.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct ReplyCode(pub u16);

        impl ReplyCode {
            #(#constants)*

            /// All codes that the specification knows, by number.
            pub const ALL: &[Self] = &[#(Self::#all,)*];

            /// The name that the specification has for it, as brokers print it: `NOT_FOUND`.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    #(#names_of,)*
                    _ => None,
                }
            }

            /// What the specification says about it, in one paragraph.
            #[must_use]
            pub const fn description(self) -> Option<&'static str> {
                match self {
                    #(#descriptions,)*
                    _ => None,
                }
            }

            /// Whether trying again later may help after this error; `None` for success and for codes that the
            /// specification doesn't know.
            #[must_use]
            pub const fn is_recoverable(self) -> Option<bool> {
                match self {
                    #recoverable
                    #irrecoverable
                    _ => None,
                }
            }

            /// What the specification lets it end; `None` for success and for codes that it doesn't know.
            ///
            /// What was ended in fact is told by the method that brought the code, and brokers differ from the
            /// specification at times: trust the method.
            #[must_use]
            pub const fn kind(self) -> Option<ErrorKind> {
                match self {
                    #(#kinds)*
                    _ => None,
                }
            }
        }

        #default

        impl ::core::fmt::Display for ReplyCode {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                match self.name() {
                    Some(name) => ::core::write!(f, "{} {}", self.0, name),
                    None => ::core::write!(f, "{}", self.0),
                }
            }
        }

        impl From<u16> for ReplyCode {
            fn from(code: u16) -> Self {
                Self(code)
            }
        }

        impl From<ReplyCode> for u16 {
            fn from(code: ReplyCode) -> Self {
                code.0
            }
        }

        impl ::amqp091_types::Encode for ReplyCode {
            #[inline]
            fn encoded_len(&self) -> usize {
                2
            }

            #[inline]
            fn encode(
                &self,
                out: &mut ::amqp091_types::Writer<'_>,
            ) -> Result<(), ::amqp091_types::EncodeError> {
                out.u16(self.0);
                Ok(())
            }
        }

        impl ::amqp091_types::Decode for ReplyCode {
            #[inline]
            fn decode(
                input: &mut ::amqp091_types::Reader<'_>,
            ) -> Result<Self, ::amqp091_types::DecodeError> {
                Ok(Self(input.u16("reply-code")?))
            }
        }

        /// What an error ends.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorKind {
            /// The channel it happened on; the connection and its other channels go on.
            Soft,
            /// The connection with all its channels.
            Hard,
        }
    }
}

/// A default is needed by the structs that hold a code. Zero is no code at all, so it is success where that is known.
fn default(model: &Model) -> TokenStream {
    let success = model.reply_codes().find(|code| code.name == SUCCESS);
    let (docs, value) = match success {
        Some(code) => {
            let ident = names::constant_ident(&code.name);
            let docs = format!("[`Self::{ident}`]: what a peer that closes without an error says.");
            (docs, quote!(Self::#ident))
        }
        None => ("0, which is no known code.".to_owned(), quote!(Self(0))),
    };
    let docs = docs::lines([docs]);
    quote! {
        impl ::core::default::Default for ReplyCode {
            #docs
            fn default() -> Self {
                #value
            }
        }
    }
}
