//! One struct a method, and how it is written and read.

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::{Class, Method};
use crate::names;
use crate::schema::Role;

use super::{docs, fields, secrets};

pub(super) fn method(class: &Class, method: &Method) -> TokenStream {
    let definition = definition(class, method);
    let name = names::camel_ident(&method.name);
    let path = format!("{}.{}", class.name, method.name);
    let method_id = docs::number(method.index);
    let synchronous = method.synchronous;
    let content = method.content;
    let sent_by = match (method.sent_by(Role::Client), method.sent_by(Role::Server)) {
        (true, true) => quote!(Both),
        (true, false) => quote!(Client),
        (false, _) => quote!(Server),
    };
    let encode = encode(method, &path);
    let decode = decode(method, &path);
    quote! {
        #definition

        impl wire::Method for #name {
            const ID: wire::MethodId =
                wire::MethodId::new(CLASS_ID, #method_id);
            const NAME: &'static str = #path;
            const SYNCHRONOUS: bool = #synchronous;
            const HAS_CONTENT: bool = #content;
            const SENT_BY: wire::SentBy = wire::SentBy::#sent_by;
        }

        impl wire::Encode for #name {
            #encode
        }

        impl wire::Decode for #name {
            #decode
        }
    }
}

fn definition(class: &Class, method: &Method) -> TokenStream {
    let path = format!("{}.{}", class.name, method.name);
    let docs = docs::method(class, method);
    let name = names::camel_ident(&method.name);
    let fields: Vec<TokenStream> = method
        .fields
        .iter()
        .filter(|field| !field.reserved)
        .map(|field| {
            let docs = docs::field(&path, field);
            let name = names::snake_ident(&field.name);
            let rust_type = fields::rust_type(field, &quote!(super::));
            quote! {
                #docs
                pub #name: #rust_type
            }
        })
        .collect();
    let body = if fields.is_empty() { quote!(;) } else { quote!({ #(#fields,)* }) };
    let (derive_debug, debug) = secrets::debug(&path, method);
    quote! {
        #docs
        #[derive(Clone, #derive_debug Default, PartialEq, Eq)]
        pub struct #name #body

        #debug
    }
}

fn encode(method: &Method, path: &str) -> TokenStream {
    let steps = fields::steps(&method.fields);
    let encoded_len = fields::encoded_len(&steps);
    let writes: Vec<_> = steps.iter().map(|step| fields::write(step, path)).collect();
    // The parameter is named in any case: rustdoc shows it.
    let unused = writes.is_empty().then(|| quote!(let _ = out;));
    quote! {
        #[inline]
        fn encoded_len(&self) -> usize {
            #encoded_len
        }

        #[inline]
        fn encode(
            &self,
            out: &mut wire::Writer<'_>,
        ) -> Result<(), wire::EncodeError> {
            #unused
            #(#writes)*
            Ok(())
        }
    }
}

fn decode(method: &Method, path: &str) -> TokenStream {
    let steps = fields::steps(&method.fields);
    let reads: Vec<_> = steps.iter().map(|step| fields::read(step, path)).collect();
    let unused = reads.is_empty().then(|| quote!(let _ = input;));
    let initializers: Vec<_> =
        method.fields.iter().filter(|field| !field.reserved).map(fields::initializer).collect();
    let value =
        if initializers.is_empty() { quote!(Self) } else { quote!(Self { #(#initializers),* }) };
    // By force, as the readers of strings in amqp091-types are: a struct of strings that is handed over in memory is copied
    // once more, which takes as long as reading it.
    quote! {
        #[inline(always)]
        fn decode(
            input: &mut wire::Reader<'_>,
        ) -> Result<Self, wire::DecodeError> {
            #unused
            #(#reads)*
            Ok(#value)
        }
    }
}
