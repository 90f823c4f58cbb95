//! One struct a method, and how it is written and read.

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::{Class, Field, FieldDefault, Method, Model, WireType};
use crate::names;

use super::reflect::{self, Owner};
use super::{docs, fields, secrets};

pub(super) fn method(model: &Model, class: &Class, method: &Method) -> TokenStream {
    let definition = definition(class, method);
    let name = names::camel_ident(&method.name);
    let path = format!("{}.{}", class.name, method.name);
    let info = reflect::method(model, class, method);
    let reflect = reflect::reflect(&Owner::Method(method));
    let encode = encode(method, &path);
    let decode = decode(method, &path);
    quote! {
        #definition

        impl wire::Method for #name {
            const INFO: &'static wire::schema::MethodInfo = #info;
        }

        #reflect

        impl wire::Layout for #name {
            #encode
            #decode
        }

        wire::__serde_method!(#name);
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
    let (derive_default, default) = default(method);
    let (derive_debug, debug) = secrets::debug(method);
    quote! {
        #docs
        #[derive(Clone, #derive_debug #derive_default PartialEq, Eq)]
        pub struct #name #body

        #default

        #debug
    }
}

/// How the struct of `method` gets `Default`: as a derive, or as an implementation if something isn't zero.
fn default(method: &Method) -> (TokenStream, TokenStream) {
    if method.fields.iter().all(|field| field.default == FieldDefault::Zero) {
        return (quote!(Default,), TokenStream::new());
    }
    let name = names::camel_ident(&method.name);
    let kept: Vec<&Field> = method.fields.iter().filter(|field| !field.reserved).collect();
    let values = kept.iter().map(|field| {
        let name = names::snake_ident(&field.name);
        let value = match (&field.default, field.wire_type) {
            (FieldDefault::Zero, _) => quote!(::core::default::Default::default()),
            (FieldDefault::True, _) => quote!(true),
            (FieldDefault::Number(number), wire_type) => {
                let number = docs::number(*number);
                match wire_type {
                    WireType::Timestamp => quote!(wire::Timestamp(#number)),
                    _ if field.is_reply_code() => quote!(super::ReplyCode(#number)),
                    _ => quote!(#number),
                }
            }
            (FieldDefault::Text(text), WireType::LongStr) => {
                quote!(wire::LongStr::from_static(#text))
            }
            (FieldDefault::Text(text), _) => quote!(wire::ShortStr::from_static(#text)),
        };
        quote!(#name: #value)
    });
    let unusual = kept.iter().filter(|field| field.default != FieldDefault::Zero);
    let unusual: Vec<String> =
        unusual.map(|field| format!("`{}` is {}", field.name, field.default)).collect();
    let docs = docs::lines([format!("Zero and empty, but {}.", unusual.join(", "))]);
    let implementation = quote! {
        impl ::core::default::Default for #name {
            #docs
            fn default() -> Self {
                Self { #(#values,)* }
            }
        }
    };
    (TokenStream::new(), implementation)
}

fn encode(method: &Method, path: &str) -> TokenStream {
    let steps = fields::steps(&method.fields);
    let encoded_len = fields::encoded_len(&steps);
    let writes: Vec<_> = steps.iter().map(|step| fields::write(step, path)).collect();
    // The parameter is named in any case: rustdoc shows it.
    let unused = writes.is_empty().then(|| quote!(let _ = out;));
    quote! {
        #[inline(always)]
        fn encoded_len(&self) -> usize {
            #encoded_len
        }

        #[inline(always)]
        fn write<S: wire::Sink>(&self, out: &mut S) -> Result<(), S::Error> {
            #unused
            #(#writes)*
            Ok(())
        }
    }
}

fn decode(method: &Method, path: &str) -> TokenStream {
    let steps = fields::steps(&method.fields);
    let reads: Vec<_> = steps.iter().map(|step| fields::read(step, path)).collect();
    let kept: Vec<&Field> = method.fields.iter().filter(|field| !field.reserved).collect();
    let made = kept.iter().map(|field| fields::made(field));
    let value = if kept.is_empty() { quote!(Self) } else { quote!(Self { #(#made),* }) };
    // By force: a struct of strings that is handed over in memory is copied once more, which takes as long as reading it.
    quote! {
        #[inline(always)]
        fn read<'a, S: wire::Source<'a>>(input: &mut S, whole: bool) -> Result<Self, S::Error> {
            #(#reads)*
            if whole {
                input.end()?;
            }
            Ok(#value)
        }
    }
}
