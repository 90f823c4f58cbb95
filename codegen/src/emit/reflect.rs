//! What the specification says, as constants, and the fields by number: for code that doesn't know the types.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use crate::model::{Class, Domain, Field, FieldDefault, Method, Model, SUCCESS, WireType};
use crate::names;
use crate::pattern;
use crate::schema::{AssertCheck, Docs, Role};

use super::docs;

/// The constants of all classes, and the look-ups in them.
pub(super) fn classes(model: &Model) -> TokenStream {
    let modules: Vec<_> =
        model.classes.iter().map(|class| names::snake_ident(&class.name)).collect();
    let domains = model.domains.iter().map(domain);
    quote! {
        /// All classes by number: with their methods and fields, what the specification says as data.
        pub const CLASSES: &[&::amqp091_types::schema::ClassInfo] = &[#(#modules::CLASS,)*];

        /// All named types of fields, in the order of the specification.
        pub const DOMAINS: &[::amqp091_types::schema::DomainInfo] = {
            #[allow(unused_imports, reason = "there may be no domains")]
            use ::amqp091_types as wire;
            &[#(#domains,)*]
        };

        /// What the specification says about the method with these ids; `None` if it has no such method.
        #[must_use]
        pub fn method_info(
            id: ::amqp091_types::MethodId,
        ) -> Option<&'static ::amqp091_types::schema::MethodInfo> {
            let class = CLASSES.iter().find(|class| class.id == id.class_id)?;
            class.methods.iter().find(|method| method.id == id).copied()
        }

        /// What the specification says about the method of that name, `basic.publish`; `None` if it has no such method.
        #[must_use]
        pub fn method_named(name: &str) -> Option<&'static ::amqp091_types::schema::MethodInfo> {
            let mut methods = CLASSES.iter().flat_map(|class| class.methods);
            methods.find(|method| method.name == name).copied()
        }
    }
}

/// The constant of a class.
pub(super) fn class(class: &Class) -> TokenStream {
    let name = &class.name;
    let docs = docs::lines([format!("What the specification says about `{name}`, as data.")]);
    let label = label(&class.docs);
    let methods = (!class.methods.is_empty()).then(|| {
        let methods = class.methods.iter().map(|method| names::camel_ident(&method.name));
        quote!(.with_methods(&[#(<#methods as wire::Method>::INFO,)*]))
    });
    let properties = (!class.properties.is_empty()).then(|| {
        let fields = class.properties.iter().map(|property| field(class, property, None));
        quote!(.with_properties(&[#(#fields,)*]))
    });
    quote! {
        #docs
        pub const CLASS: &wire::schema::ClassInfo =
            &wire::schema::ClassInfo::new(CLASS_ID, #name) #label #methods #properties;
    }
}

/// The constant of a method, to be its `INFO`.
pub(super) fn method(model: &Model, class: &Class, method: &Method) -> TokenStream {
    let path = format!("{}.{}", class.name, method.name);
    let method_id = docs::number(method.index);
    let sent_by = match (method.sent_by(Role::Client), method.sent_by(Role::Server)) {
        (true, true) => quote!(Both),
        (true, false) => quote!(Client),
        (false, _) => quote!(Server),
    };
    let label = label(&method.docs);
    let synchronous = method.synchronous.then(|| quote!(.with_synchronous()));
    let content = method.content.then(|| quote!(.with_content()));
    let deprecated = method.deprecated.then(|| quote!(.with_deprecated()));
    let replies = (!method.responses.is_empty()).then(|| {
        let replies = method.responses.iter().map(|response| names::camel_ident(&response.name));
        quote!(.with_replies(&[#(<#replies as wire::Method>::ID,)*]))
    });
    let success =
        model.reply_codes().find(|code| code.name == SUCCESS).map(|success| success.value);
    let fields = (!method.fields.is_empty()).then(|| {
        let fields = method.fields.iter().map(|argument| field(class, argument, success));
        quote!(.with_fields(&[#(#fields,)*]))
    });
    quote! {
        &wire::schema::MethodInfo::new(
            wire::MethodId::new(CLASS_ID, #method_id),
            #path,
            wire::SentBy::#sent_by,
        ) #label #synchronous #content #deprecated #replies #fields
    }
}

fn domain(domain: &Domain) -> TokenStream {
    let name = &domain.name;
    let wire_type = wire_type(domain.wire_type);
    let label = label(&domain.docs);
    // What is asserted of a field of some other method needs that method, and so no domain asserts it.
    let rules: Vec<_> =
        domain.asserts.iter().filter_map(|assert| rule("", &assert.check)).collect();
    let rules = with_rules(&rules);
    quote!(wire::schema::DomainInfo::new(#name, wire::schema::WireType::#wire_type) #label #rules)
}

fn with_rules(rules: &[TokenStream]) -> Option<TokenStream> {
    (!rules.is_empty()).then(|| quote!(.with_rules(&[#(wire::schema::Rule::#rules,)*])))
}

fn label(docs: &Docs) -> Option<TokenStream> {
    let label = docs.label.as_deref()?.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(quote!(.with_label(#label)))
}

/// `code` is what a reply code is by default, if it isn't zero.
fn field(class: &Class, field: &Field, code: Option<u64>) -> TokenStream {
    let name = &field.name;
    let wire_type = wire_type(field.wire_type);
    let label = label(&field.docs);
    let ident = names::snake_ident(&field.name).to_string();
    let ident = ident.strip_prefix("r#").unwrap_or(&ident);
    let rust_name = (ident != name && !field.reserved).then(|| quote!(.with_rust_name(#ident)));
    let domain = field.domain.as_ref().map(|domain| quote!(.with_domain(#domain)));
    let reserved = field.reserved.then(|| quote!(.with_reserved()));
    let secret = field.secret.then(|| quote!(.with_secret()));
    let default = match &field.default {
        FieldDefault::Zero => code.filter(|_| field.is_reply_code()).map(|code| {
            let code = docs::number(code);
            quote!(Number(#code))
        }),
        FieldDefault::True => Some(quote!(True)),
        FieldDefault::Number(number) => {
            let number = docs::number(*number);
            Some(quote!(Number(#number)))
        }
        FieldDefault::Text(text) => Some(quote!(Text(#text))),
    };
    let default =
        default.map(|default| quote!(.with_default(wire::schema::FieldDefault::#default)));
    let rules: Vec<_> =
        field.asserts.iter().filter_map(|assert| rule(&class.name, &assert.check)).collect();
    // What is reserved can't break any.
    let rules = if field.reserved { None } else { with_rules(&rules) };
    quote! {
        wire::schema::FieldInfo::new(#name, wire::schema::WireType::#wire_type)
            #rust_name #label #domain #reserved #secret #default #rules
    }
}

fn rule(class: &str, check: &AssertCheck) -> Option<TokenStream> {
    Some(match check {
        AssertCheck::NotNull => quote!(NotNull),
        AssertCheck::Length(length) => {
            let length = docs::number(*length);
            quote!(MaxLength(#length))
        }
        AssertCheck::Regexp(source) => {
            let octets = pattern::octets(source)?.map(hexadecimal);
            quote!(Pattern(&wire::schema::Pattern::new(#source, [#(#octets),*])))
        }
        AssertCheck::Among(values) => {
            let values = values.iter().copied().map(docs::number);
            quote!(Among(&[#(#values),*]))
        }
        AssertCheck::Le { method, field } => {
            let method = format!("{class}.{method}");
            quote!(AtMost { method: #method, field: #field })
        }
    })
}

/// Sets of bits are read as masks.
fn hexadecimal(word: u64) -> proc_macro2::Literal {
    format!("0x{word:X}").parse().unwrap_or_else(|_| docs::number(word))
}

fn wire_type(wire_type: WireType) -> TokenStream {
    match wire_type {
        WireType::Bit => quote!(Bit),
        WireType::Octet => quote!(Octet),
        WireType::Short => quote!(Short),
        WireType::Long => quote!(Long),
        WireType::LongLong => quote!(LongLong),
        WireType::ShortStr => quote!(ShortStr),
        WireType::LongStr => quote!(LongStr),
        WireType::Timestamp => quote!(Timestamp),
        WireType::Table => quote!(Table),
    }
}

/// Whose fields are told apart by number.
pub(super) enum Owner<'a> {
    Method(&'a Method),
    Properties(&'a Class),
}

/// The implementation of `Reflect`.
pub(super) fn reflect(owner: &Owner<'_>) -> TokenStream {
    let (rust_name, name, schema, fields) = match owner {
        Owner::Method(method) => (
            names::camel_ident(&method.name),
            quote!(<Self as wire::Method>::NAME),
            quote!(<Self as wire::Method>::INFO.fields),
            &method.fields,
        ),
        Owner::Properties(class) => {
            let name = format!("{}.properties", class.name);
            let rust_name = names::camel_ident("properties");
            (rust_name, quote!(#name), quote!(CLASS.properties), &class.properties)
        }
    };
    let optional = matches!(owner, Owner::Properties(_));
    let kept: Vec<_> = fields.iter().enumerate().filter(|(_, field)| !field.reserved).collect();
    let get = by_index(kept.iter().map(|(index, field)| get(*index, field, optional)).collect());
    let set = by_index(kept.iter().map(|(index, field)| set(*index, field, optional)).collect());
    quote! {
        impl wire::Reflect for #rust_name {
            fn name(&self) -> &'static str {
                #name
            }

            fn schema(&self) -> &'static [wire::schema::FieldInfo] {
                #schema
            }

            fn field_at(&self, index: usize) -> Option<wire::FieldRef<'_>> {
                #get
            }

            fn field_mut_at(&mut self, index: usize) -> Option<wire::FieldMut<'_>> {
                #set
            }

            fn as_reflect(&self) -> &dyn wire::Reflect {
                self
            }
        }
    }
}

/// A `match` on the number of a field, where there are any fields.
fn by_index(arms: Vec<TokenStream>) -> TokenStream {
    if arms.is_empty() {
        return quote! {
            let _ = index;
            None
        };
    }
    quote! {
        match index {
            #(#arms,)*
            _ => None,
        }
    }
}

fn get(index: usize, field: &Field, optional: bool) -> TokenStream {
    let index = docs::number(index as u64);
    let name = names::snake_ident(&field.name);
    let variant = wire_type(field.wire_type);
    let borrowed = is_borrowed(field.wire_type);
    match (optional && field.wire_type != WireType::Bit, borrowed) {
        (false, true) => quote!(#index => Some(wire::FieldRef::#variant(&self.#name))),
        (false, false) if field.is_reply_code() => {
            quote!(#index => Some(wire::FieldRef::#variant(self.#name.0)))
        }
        (false, false) => quote!(#index => Some(wire::FieldRef::#variant(self.#name))),
        (true, true) => quote!(#index => self.#name.as_ref().map(wire::FieldRef::#variant)),
        (true, false) => quote!(#index => self.#name.map(wire::FieldRef::#variant)),
    }
}

fn set(index: usize, field: &Field, optional: bool) -> TokenStream {
    let index = docs::number(index as u64);
    let name = names::snake_ident(&field.name);
    let variant = wire_type(field.wire_type);
    if optional && field.wire_type != WireType::Bit {
        let variant = format_ident!("Optional{variant}");
        quote!(#index => Some(wire::FieldMut::#variant(&mut self.#name)))
    } else if field.is_reply_code() {
        quote!(#index => Some(wire::FieldMut::#variant(&mut self.#name.0)))
    } else {
        quote!(#index => Some(wire::FieldMut::#variant(&mut self.#name)))
    }
}

const fn is_borrowed(wire_type: WireType) -> bool {
    matches!(wire_type, WireType::ShortStr | WireType::LongStr | WireType::Table)
}
