//! Which method is answered by which: the relation as types.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use crate::model::{Class, Method};
use crate::names;

use super::docs;

/// What a method has to do with replies: that it is one, that it asks for one, that it asks for one of several.
pub(super) fn replies(class: &Class, method: &Method) -> TokenStream {
    let is_reply = class.methods.iter().any(|request| {
        let mut responses = request.responses.iter();
        responses.any(|response| response.name == method.name)
    });
    let reply = is_reply.then(|| single(method));
    let request = match method.responses.as_slice() {
        [] => None,
        [response] => Some(request(method, &names::camel_ident(&response.name))),
        _ => Some(several(class, method)),
    };
    quote!(#reply #request)
}

fn request(method: &Method, reply: &proc_macro2::Ident) -> TokenStream {
    let name = names::camel_ident(&method.name);
    quote! {
        impl wire::Request for #name {
            type Reply = #reply;
        }
    }
}

fn single(method: &Method) -> TokenStream {
    let name = names::camel_ident(&method.name);
    quote! {
        impl wire::Reply for #name {
            const METHODS: &'static [wire::MethodId] =
                &[<Self as wire::Method>::ID];

            fn decode_reply(
                id: wire::MethodId,
                input: &mut wire::Reader<'_>,
            ) -> Result<Self, wire::MethodError> {
                if id == <Self as wire::Method>::ID {
                    super::arguments(id, input, |reply| reply)
                } else {
                    Err(super::refused(id))
                }
            }
        }
    }
}

fn several(class: &Class, method: &Method) -> TokenStream {
    let request_name = names::camel_ident(&method.name);
    let name = format_ident!("{}Reply", names::camel(&method.name));
    let replies: Vec<_> =
        method.responses.iter().map(|response| names::camel_ident(&response.name)).collect();
    let docs = docs::lines([format!("The reply to [`{request_name}`]: one of several.")]);
    let variants = method.responses.iter().zip(&replies).map(|(response, reply)| {
        let summary = class
            .method(&response.name)
            .and_then(|method| docs::summary(&method.docs))
            .unwrap_or_else(|| format!("The method `{}.{}`.", class.name, response.name));
        let docs = docs::lines([summary]);
        quote! {
            #docs
            #reply(#reply)
        }
    });
    let request = request(method, &name);
    quote! {
        #docs
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum #name {
            #(#variants,)*
        }

        impl wire::Reply for #name {
            const METHODS: &'static [wire::MethodId] =
                &[#(<#replies as wire::Method>::ID),*];

            fn decode_reply(
                id: wire::MethodId,
                input: &mut wire::Reader<'_>,
            ) -> Result<Self, wire::MethodError> {
                match id {
                    #(
                        <#replies as wire::Method>::ID => {
                            super::arguments(id, input, Self::#replies)
                        }
                    )*
                    _ => Err(super::refused(id)),
                }
            }
        }

        #request
    }
}
