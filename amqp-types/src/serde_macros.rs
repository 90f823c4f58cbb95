//! What generated code calls to have serde's traits implemented.
//!
//! Whether they are depends on this crate's feature `serde`, and not on one of the crate that includes the generated code,
//! which needs no dependency on serde either. Each expansion is two functions of one line, as there are many methods.

/// Serialization of a method's struct.
#[cfg(feature = "serde")]
#[doc(hidden)]
#[macro_export]
macro_rules! __serde_method {
    ($name:ty) => {
        $crate::__serde_impl!($name, serialize_fields(), deserialize_method());
    };
}

/// Serialization of content properties.
#[cfg(feature = "serde")]
#[doc(hidden)]
#[macro_export]
macro_rules! __serde_properties {
    ($name:ty) => {
        $crate::__serde_impl!($name, serialize_fields(), deserialize_properties());
    };
}

/// Serialization of the types that a protocol has once: the reply code, and the enums of methods.
#[cfg(feature = "serde")]
#[doc(hidden)]
#[macro_export]
macro_rules! __serde_protocol {
    ($classes:expr, $reply_code:ty, $($enum:ty),*) => {
        impl $crate::serde_forms::__private::serde_core::Serialize for $reply_code {
            fn serialize<S: $crate::serde_forms::__private::serde_core::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                serializer.serialize_u16(self.0)
            }
        }

        impl<'de> $crate::serde_forms::__private::serde_core::Deserialize<'de> for $reply_code {
            fn deserialize<D: $crate::serde_forms::__private::serde_core::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                <u16 as $crate::serde_forms::__private::serde_core::Deserialize>::deserialize(
                    deserializer,
                )
                .map(Self)
            }
        }

        $(
            impl $crate::serde_forms::__private::MethodEnum for $enum {
                const NAME: &'static str = ::core::stringify!($enum);
                const CLASSES: &'static [&'static $crate::schema::ClassInfo] = $classes;

                fn id(&self) -> $crate::MethodId {
                    Self::id(self)
                }

                fn new(id: $crate::MethodId) -> ::core::option::Option<Self> {
                    Self::new(id)
                }

                fn from_payload(
                    payload: &[u8],
                ) -> ::core::result::Result<Self, $crate::MethodError> {
                    Self::from_payload(payload)
                }
            }

            $crate::__serde_impl!($enum, serialize_any_method(), deserialize_any_method());
        )*
    };
}

/// Serialization of the enum of content properties, which a protocol without any hasn't.
#[cfg(feature = "serde")]
#[doc(hidden)]
#[macro_export]
macro_rules! __serde_any_properties {
    ($classes:expr, $enum:ty) => {
        impl $crate::serde_forms::__private::PropertiesEnum for $enum {
            const CLASSES: &'static [&'static $crate::schema::ClassInfo] = $classes;

            fn class(&self) -> &'static $crate::schema::ClassInfo {
                Self::class(self)
            }

            fn new(class_id: u16) -> ::core::option::Option<Self> {
                Self::new(class_id)
            }

            fn decode(
                class_id: u16,
                octets: &[u8],
            ) -> ::core::result::Result<Self, $crate::PropertiesError> {
                Self::decode(class_id, octets)
            }
        }

        $crate::__serde_impl!($enum, serialize_any_properties(), deserialize_any_properties());
    };
}

#[cfg(feature = "serde")]
#[doc(hidden)]
#[macro_export]
macro_rules! __serde_impl {
    ($name:ty, $serialize:ident(), $deserialize:ident()) => {
        impl $crate::serde_forms::__private::serde_core::Serialize for $name {
            fn serialize<S: $crate::serde_forms::__private::serde_core::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                $crate::serde_forms::__private::$serialize(self, serializer)
            }
        }

        impl<'de> $crate::serde_forms::__private::serde_core::Deserialize<'de> for $name {
            fn deserialize<D: $crate::serde_forms::__private::serde_core::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                $crate::serde_forms::__private::$deserialize(deserializer)
            }
        }
    };
}

/// Nothing, without the feature `serde`.
#[cfg(not(feature = "serde"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __serde_method {
    ($name:ty) => {};
}

/// Nothing, without the feature `serde`.
#[cfg(not(feature = "serde"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __serde_properties {
    ($name:ty) => {};
}

/// Nothing, without the feature `serde`.
#[cfg(not(feature = "serde"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __serde_protocol {
    ($classes:expr, $reply_code:ty, $($enum:ty),*) => {};
}

/// Nothing, without the feature `serde`.
#[cfg(not(feature = "serde"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __serde_any_properties {
    ($classes:expr, $enum:ty) => {};
}
