//! Tests of the generated code: every method and all properties with random contents, there and back.
//!
//! What a sample is, and what must hold of it, is written by hand where the tests are included.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use crate::model::{Class, Field, Method, Model};
use crate::names;

pub(super) fn tests(model: &Model) -> TokenStream {
    let methods = model.methods().map(|(class, method)| method_test(class, method));
    let properties =
        model.classes.iter().filter(|class| !class.properties.is_empty()).map(properties_test);
    quote! {
        #(#methods)*
        #(#properties)*
    }
}

fn method_test(class: &Class, method: &Method) -> TokenStream {
    let module = names::snake_ident(&class.name);
    let type_name = names::camel_ident(&method.name);
    let path = quote!(amqp091::protocol::#module::#type_name);
    let sample = sample(&path, &method.fields);
    let test = format_ident!("{}_{}", names::snake(&class.name), names::snake(&method.name));
    quote! {
        #sample

        #[test]
        fn #test() {
            round_trip_method::<#path>(amqp091::protocol::AnyMethod::from);
        }
    }
}

fn properties_test(class: &Class) -> TokenStream {
    let module = names::snake_ident(&class.name);
    let path = quote!(amqp091::protocol::#module::Properties);
    let sample = sample(&path, &class.properties);
    let test = format_ident!("{}_properties", names::snake(&class.name));
    quote! {
        #sample

        #[test]
        fn #test() {
            round_trip_properties::<#path>();
        }
    }
}

fn sample(path: &TokenStream, fields: &[Field]) -> TokenStream {
    let fields: Vec<_> = fields
        .iter()
        .filter(|field| !field.reserved)
        .map(|field| names::snake_ident(&field.name))
        .collect();
    let random = if fields.is_empty() { format_ident!("_random") } else { format_ident!("random") };
    quote! {
        impl Sample for #path {
            fn sample(#random: &mut Random) -> Self {
                Self { #(#fields: Sample::sample(#random),)* }
            }
        }
    }
}
