//! The enum of content properties: those of any class that has some.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use crate::model::Model;
use crate::names;

use super::docs;

pub(super) fn any_properties(model: &Model) -> TokenStream {
    let classes: Vec<_> =
        model.classes.iter().filter(|class| !class.properties.is_empty()).collect();
    // Without any, there is nothing that a function could return.
    if classes.is_empty() {
        return quote!();
    }
    let variants: Vec<_> =
        classes.iter().map(|class| format_ident!("{}", names::camel(&class.name))).collect();
    let modules: Vec<_> = classes.iter().map(|class| names::snake_ident(&class.name)).collect();
    let docs = classes.iter().map(|class| docs::lines([format!("Those of `{}`.", class.name)]));
    quote! {
        /// The content properties of any class that has some.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum AnyProperties {
            #(
                #docs
                #variants(#modules::Properties),
            )*
        }

        impl AnyProperties {
            /// Those of that class, none of which is there; `None` if the class has no properties.
            pub fn new(class_id: u16) -> Option<Self> {
                match class_id {
                    #(#modules::CLASS_ID => Some(Self::#variants(Default::default())),)*
                    _ => None,
                }
            }

            /// Reads the properties of that class: flags and values, and nothing may be left over.
            ///
            /// # Errors
            ///
            /// If the class has no properties, or if they are malformed. It concerns one message, whoever sent it.
            pub fn decode(
                class_id: u16,
                octets: &[u8],
            ) -> Result<Self, ::amqp091_types::PropertiesError> {
                let properties = match class_id {
                    #(
                        #modules::CLASS_ID => <#modules::Properties as ::amqp091_types::Decode>::decode_all(octets)
                            .map(Self::#variants),
                    )*
                    _ => Err(::amqp091_types::DecodeError::new(
                        "class-id",
                        0,
                        ::amqp091_types::DecodeReason::NoProperties { class_id },
                    )),
                };
                properties.map_err(::amqp091_types::PropertiesError::from)
            }

            /// The class whose properties they are.
            #[must_use]
            pub const fn class(&self) -> &'static ::amqp091_types::schema::ClassInfo {
                match self {
                    #(Self::#variants(_) => #modules::CLASS,)*
                }
            }
        }

        /// The properties of the class that it is.
        impl ::amqp091_types::Reflect for AnyProperties {
            fn name(&self) -> &'static str {
                self.as_reflect().name()
            }

            fn schema(&self) -> &'static [::amqp091_types::schema::FieldInfo] {
                self.class().properties
            }

            fn field_at(&self, index: usize) -> Option<::amqp091_types::FieldRef<'_>> {
                self.as_reflect().field_at(index)
            }

            fn field_mut_at(&mut self, index: usize) -> Option<::amqp091_types::FieldMut<'_>> {
                match self {
                    #(Self::#variants(properties) => ::amqp091_types::Reflect::field_mut_at(properties, index),)*
                }
            }

            fn as_reflect(&self) -> &dyn ::amqp091_types::Reflect {
                match self {
                    #(Self::#variants(properties) => properties,)*
                }
            }
        }

        /// The flags, then the values.
        impl ::amqp091_types::Encode for AnyProperties {
            fn encoded_len(&self) -> usize {
                match self {
                    #(Self::#variants(properties) => ::amqp091_types::Encode::encoded_len(properties),)*
                }
            }

            fn encode(
                &self,
                out: &mut ::amqp091_types::Writer<'_>,
            ) -> Result<(), ::amqp091_types::EncodeError> {
                match self {
                    #(Self::#variants(properties) => ::amqp091_types::Encode::encode(properties, out),)*
                }
            }
        }

        #(
            impl From<#modules::Properties> for AnyProperties {
                fn from(properties: #modules::Properties) -> Self {
                    Self::#variants(properties)
                }
            }
        )*

        ::amqp091_types::__serde_any_properties!(CLASSES, AnyProperties);
    }
}
