//! Fields that hold credentials: `Debug` doesn't show them, so that no log does.
//!
//! A specification says so by `secret="1"`.

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::Method;
use crate::names;

/// How the struct of `method` gets `Debug`: as a derive, or as an implementation that hides its secrets.
pub(super) fn debug(method: &Method) -> (TokenStream, TokenStream) {
    let fields: Vec<_> = method.fields.iter().filter(|field| !field.reserved).collect();
    if !fields.iter().any(|field| field.secret) {
        return (quote!(Debug,), TokenStream::new());
    }
    let name = names::camel_ident(&method.name);
    let title = name.to_string();
    let shown = fields.iter().map(|field| {
        let ident = names::snake_ident(&field.name);
        let label = ident.to_string();
        if field.secret {
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
