//! Fields that hold credentials: `Debug` doesn't show them, so that no log does.
//!
//! The schema has no place to say so; this table is the only one of its kind. A field that a specification
//! doesn't have does no harm here.

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::Method;
use crate::names;

const SECRETS: [&str; 3] = [
    "connection.start-ok.response",
    "connection.secure-ok.response",
    "connection.update-secret.new-secret",
];

/// How the struct of `method` gets `Debug`: as a derive, or as an implementation that hides its secrets.
pub(super) fn debug(path: &str, method: &Method) -> (TokenStream, TokenStream) {
    let fields: Vec<_> = method.fields.iter().filter(|field| !field.reserved).collect();
    let is_secret = |field: &str| SECRETS.contains(&format!("{path}.{field}").as_str());
    if !fields.iter().any(|field| is_secret(&field.name)) {
        return (quote!(Debug,), TokenStream::new());
    }
    let name = names::camel_ident(&method.name);
    let title = name.to_string();
    let shown = fields.iter().map(|field| {
        let ident = names::snake_ident(&field.name);
        let label = ident.to_string();
        if is_secret(&field.name) {
            quote!(.field(#label, &format_args!("(hidden)")))
        } else {
            quote!(.field(#label, &self.#ident))
        }
    });
    let implementation = quote! {
        /// Without the credentials.
        impl ::core::fmt::Debug for #name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(#title) #(#shown)* .finish()
            }
        }
    };
    (TokenStream::new(), implementation)
}
