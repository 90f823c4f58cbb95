//! What a method, a reply and a class's properties are: the traits that generated code implements.

use std::fmt;

use crate::codec::{Decode, Encode};
use crate::error::{DecodeError, EncodeError, MethodError};
use crate::reader::Reader;
use crate::reflect::Reflect;
use crate::schema::{ClassInfo, MethodInfo};
use crate::writer::Writer;

/// A method's number: that of its class, and its own within the class.
///
/// ```
/// use amqp091_types::MethodId;
///
/// let publish = MethodId::new(60, 40);
/// assert_eq!(publish.to_string(), "60.40");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MethodId {
    /// The class, 60 for basic.
    pub class_id: u16,
    /// The method within its class, 40 for basic.publish.
    pub method_id: u16,
}

impl MethodId {
    /// The method `method_id` of the class `class_id`.
    pub const fn new(class_id: u16, method_id: u16) -> Self {
        Self { class_id, method_id }
    }
}

impl fmt::Display for MethodId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.class_id, self.method_id)
    }
}

/// Four octets: the class, then the method, as a method frame's payload begins.
impl Encode for MethodId {
    #[inline]
    fn encoded_len(&self) -> usize {
        4
    }

    #[inline]
    fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        out.u16(self.class_id);
        out.u16(self.method_id);
        Ok(())
    }
}

impl Decode for MethodId {
    #[inline]
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { class_id: input.u16("class-id")?, method_id: input.u16("method-id")? })
    }
}

/// Which side sends a method.
///
/// Exhaustive on purpose: there are two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SentBy {
    /// Only the client.
    Client,
    /// Only the server.
    Server,
    /// Either side.
    Both,
}

impl SentBy {
    /// Whether a client may send it.
    pub const fn client(self) -> bool {
        matches!(self, Self::Client | Self::Both)
    }

    /// Whether a server may send it.
    pub const fn server(self) -> bool {
        matches!(self, Self::Server | Self::Both)
    }
}

/// One method of the protocol, with its arguments as fields.
///
/// [`Encode`] and [`Decode`] concern the arguments alone: the number in front belongs to the frame.
/// `decode` reads exactly the arguments and leaves what stands behind them; whoever knows where the
/// method ends calls [`Reader::finish`].
pub trait Method:
    Encode + Decode + Reflect + Clone + fmt::Debug + PartialEq + Send + Sync + 'static
{
    /// All that the specification says about it; the other constants are from there.
    const INFO: &'static MethodInfo;
    /// The number.
    const ID: MethodId = Self::INFO.id;
    /// The specification's name, such as `basic.publish`.
    const NAME: &'static str = Self::INFO.name;
    /// Whether the sender waits for a reply before the next method on the channel, or this is such a reply.
    const SYNCHRONOUS: bool = Self::INFO.synchronous;
    /// Whether a content header, and a body unless it is empty, follow on the channel.
    const HAS_CONTENT: bool = Self::INFO.has_content;
    /// Who may send it.
    const SENT_BY: SentBy = Self::INFO.sent_by;
}

/// A method that is answered.
pub trait Request: Method {
    /// What comes back: a method, or an enum of two where the specification names two.
    type Reply: Reply;
}

/// The answer to a [`Request`].
pub trait Reply: Sized + Send + 'static {
    /// The methods that are this answer: one, or two for basic.get.
    const METHODS: &'static [MethodId];

    /// Reads the arguments of method `id`, all of `input`.
    ///
    /// # Errors
    ///
    /// [`MethodError::NotExpected`] if `id` is none of [`METHODS`](Self::METHODS), and
    /// [`MethodError::Arguments`] if the arguments can't be read or octets are left behind them.
    fn decode_reply(id: MethodId, input: &mut Reader<'_>) -> Result<Self, MethodError>;
}

/// The properties in the content header of a class.
///
/// [`Encode`] and [`Decode`] begin with the property flags.
pub trait ContentProperties: Encode + Decode + Reflect + Default {
    /// The class whose content has these properties.
    const CLASS: &'static ClassInfo;
    /// The number of that class.
    const CLASS_ID: u16 = Self::CLASS.id;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_class_and_then_method() {
        let mut ids = [(60, 20), (10, 51), (60, 10), (10, 50)].map(|(c, m)| MethodId::new(c, m));
        ids.sort();
        let texts: Vec<_> = ids.iter().map(MethodId::to_string).collect();
        assert_eq!(texts, ["10.50", "10.51", "60.10", "60.20"]);
    }

    #[test]
    fn both_is_either() {
        assert!(SentBy::Client.client() && !SentBy::Client.server());
        assert!(!SentBy::Server.client() && SentBy::Server.server());
        assert!(SentBy::Both.client() && SentBy::Both.server());
    }
}
