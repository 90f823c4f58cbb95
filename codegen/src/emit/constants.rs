//! The constants that aren't reply codes, the port and the version.

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::Model;
use crate::names;

use super::docs;

pub(super) fn constants(model: &Model) -> TokenStream {
    let (major, minor, revision) = model.version;
    let version = [major, minor, revision].map(docs::number);
    let port = docs::number(model.port);
    let constants = model.other_constants().map(|constant| {
        let docs = docs::constant(constant, None);
        let name = names::constant_ident(&constant.name);
        let smallest = smallest(constant.value);
        let value = docs::number(constant.value);
        quote! {
            #docs
            pub const #name: #smallest = #value;
        }
    });
    quote! {
        /// The constants of the specification that aren't reply codes.
        pub mod constants {
            /// The TCP port that is assigned to the protocol.
            pub const PORT: u16 = #port;
            /// The version of the protocol: major, minor, revision.
            pub const PROTOCOL_VERSION: (u8, u8, u8) = (#(#version),*);
            #(#constants)*
        }
    }
}

/// The smallest unsigned type that holds a value.
fn smallest(value: u64) -> TokenStream {
    if u8::try_from(value).is_ok() {
        quote!(u8)
    } else if u16::try_from(value).is_ok() {
        quote!(u16)
    } else if u32::try_from(value).is_ok() {
        quote!(u32)
    } else {
        quote!(u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_as_small_as_can_be() {
        for (value, expected) in [
            (0, "u8"),
            (255, "u8"),
            (256, "u16"),
            (65_535, "u16"),
            (65_536, "u32"),
            (1 << 32, "u64"),
        ] {
            assert_eq!(smallest(value).to_string(), expected, "{value}");
        }
    }
}
