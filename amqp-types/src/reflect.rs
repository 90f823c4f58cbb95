//! The fields of a method whose type isn't known at compile time: what a wire analyser, a proxy or a generic test needs.

use std::fmt;
use std::slice;

use crate::field::{FieldError, FieldMut, FieldRef, FieldValue};
use crate::schema::FieldInfo;
use crate::validate::{Profile, ValidationError, violations};

/// Gives the fields of a method, or of content properties, by name and number.
///
/// Implemented by all that is generated: the methods, the properties, and the enums of methods.
///
/// ```
/// use amqp091_types::schema::{FieldInfo, WireType};
/// use amqp091_types::{FieldError, FieldMut, FieldRef, FieldValue, Reflect};
///
/// // As the generator writes it.
/// struct Ack { delivery_tag: u64, multiple: bool }
/// impl Reflect for Ack {
///     fn name(&self) -> &'static str { "basic.ack" }
///     fn schema(&self) -> &'static [FieldInfo] {
///         const { &[
///             FieldInfo::new("delivery-tag", WireType::LongLong),
///             FieldInfo::new("multiple", WireType::Bit),
///         ] }
///     }
///     fn field_at(&self, index: usize) -> Option<FieldRef<'_>> {
///         match index {
///             0 => Some(FieldRef::LongLong(self.delivery_tag)),
///             1 => Some(FieldRef::Bit(self.multiple)),
///             _ => None,
///         }
///     }
///     fn field_mut_at(&mut self, index: usize) -> Option<FieldMut<'_>> {
///         match index {
///             0 => Some(FieldMut::LongLong(&mut self.delivery_tag)),
///             1 => Some(FieldMut::Bit(&mut self.multiple)),
///             _ => None,
///         }
///     }
///     fn as_reflect(&self) -> &dyn Reflect { self }
/// }
///
/// let mut ack = Ack { delivery_tag: 7, multiple: false };
/// ack.set_field("multiple", FieldValue::Bit(true))?;
/// assert_eq!(ack.field("delivery-tag"), Some(FieldRef::LongLong(7)));
/// assert_eq!(ack.field("delivery_tag"), Some(FieldRef::LongLong(7)));
/// assert_eq!(ack.describe().to_string(), "basic.ack(delivery-tag: 7, multiple: true)");
///
/// let error = ack.set_field("delivery-tag", FieldValue::Octet(7)).unwrap_err();
/// assert_eq!(error.to_string(), "basic.ack.delivery-tag is a longlong, not an octet");
/// # Ok::<(), FieldError>(())
/// ```
pub trait Reflect: Send + Sync {
    /// Whose fields they are: `basic.publish`, or `basic.properties`.
    fn name(&self) -> &'static str;

    /// What the specification says about the fields, in the order of the wire.
    fn schema(&self) -> &'static [FieldInfo];

    /// What the field with that place in [`schema`](Self::schema) holds.
    ///
    /// `None` for a reserved field, a property that isn't there, and a place that there isn't.
    fn field_at(&self, index: usize) -> Option<FieldRef<'_>>;

    /// The field with that place in [`schema`](Self::schema), to be changed.
    ///
    /// `None` for a reserved field, and a place that there isn't.
    fn field_mut_at(&mut self, index: usize) -> Option<FieldMut<'_>>;

    /// Itself; of an enum of methods, the method.
    fn as_reflect(&self) -> &dyn Reflect;

    /// Changes the field with that place in [`schema`](Self::schema). A property that wasn't there is then.
    ///
    /// # Errors
    ///
    /// If there is no such field, if it is reserved, or if it is of another type. Then nothing is changed.
    fn set_field_at(&mut self, index: usize, value: FieldValue) -> Result<(), FieldError> {
        let (owner, schema) = (self.name(), self.schema());
        let refused = |value: &FieldValue| FieldError::refused(owner, schema, index, value);
        match self.field_mut_at(index) {
            Some(field) => field.set(value).map_err(|value| refused(&value)),
            None => Err(refused(&value)),
        }
    }

    /// All fields with what they hold, in the order of the wire; without the reserved ones, and without
    /// properties that aren't there.
    ///
    /// **Credentials are among them**: leave out what is [`secret`](FieldInfo::secret), as
    /// [`describe`](Self::describe) does, before anything is printed.
    fn fields(&self) -> Fields<'_> {
        Fields { owner: self.as_reflect(), schema: self.schema().iter(), index: 0 }
    }

    /// What the field of that name holds, spelled as in the specification (`routing-key`) or as in Rust (`routing_key`).
    fn field(&self, name: &str) -> Option<FieldRef<'_>> {
        self.field_at(place(self.schema(), name)?)
    }

    /// Changes the field of that name, spelled as in the specification or as in Rust.
    ///
    /// # Errors
    ///
    /// As [`set_field_at`](Self::set_field_at).
    fn set_field(&mut self, name: &str, value: FieldValue) -> Result<(), FieldError> {
        let unknown = || FieldError::Unknown { owner: self.name(), field: name.into() };
        let index = place(self.schema(), name).ok_or_else(unknown)?;
        self.set_field_at(index, value)
    }

    /// The name and all fields on one line, without credentials.
    fn describe(&self) -> Describe<'_> {
        Describe(self.as_reflect())
    }

    /// Whether all fields are as the specification asserts: name lengths and characters, values that must be there.
    ///
    /// This is advice for those who want to be strict before sending. RabbitMQ enforces none of it, and takes any
    /// name of up to 255 octets, so the codec doesn't either. [`Profile::Pamqp`] is more lenient.
    ///
    /// # Errors
    ///
    /// The first violation: which field, which rule, which value. [`violations`](Self::violations) gives all.
    fn validate(&self) -> Result<(), ValidationError> {
        self.violations(Profile::Specification).into_iter().next().map_or(Ok(()), Err)
    }

    /// All fields that aren't as that profile wants them; empty if they are.
    fn violations(&self, profile: Profile) -> Vec<ValidationError> {
        violations(self.as_reflect(), profile, None)
    }

    /// [`violations`](Self::violations) of the specification, also against the method that this one answers:
    /// connection.tune-ok must not ask for more channels than connection.tune offered.
    fn validate_reply_to(&self, request: &dyn Reflect) -> Vec<ValidationError> {
        violations(self.as_reflect(), Profile::Specification, Some(request))
    }
}

/// Where the field of that name stands.
fn place(schema: &[FieldInfo], name: &str) -> Option<usize> {
    schema.iter().position(|info| info.is_named(name))
}

/// The fields of a method, from [`Reflect::fields`].
#[derive(Clone)]
pub struct Fields<'a> {
    owner: &'a dyn Reflect,
    schema: slice::Iter<'static, FieldInfo>,
    index: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'static FieldInfo, FieldRef<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        for info in self.schema.by_ref() {
            let value = self.owner.field_at(self.index);
            self.index += 1;
            if let Some(value) = value {
                return Some((info, value));
            }
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.schema.size_hint().1)
    }
}

impl std::iter::FusedIterator for Fields<'_> {}

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fields").field(&self.owner.name()).finish()
    }
}

/// A method on one line, from [`Reflect::describe`]: `basic.ack(delivery-tag: 7, multiple: true)`.
#[derive(Clone, Copy)]
pub struct Describe<'a>(&'a dyn Reflect);

impl fmt::Display for Describe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.0.name())?;
        for (index, (info, value)) in self.0.fields().enumerate() {
            let joint = if index == 0 { "" } else { ", " };
            if info.secret {
                write!(f, "{joint}{}: (hidden)", info.name)?;
            } else {
                write!(f, "{joint}{}: {value}", info.name)?;
            }
        }
        f.write_str(")")
    }
}

impl fmt::Debug for Describe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
