//! A method frame's payload: class id, method id, arguments.

use amqp091_types::{MethodError, MethodId, Reader};

use crate::protocol::{AnyMethod, ToClient, ToServer};

/// Reads the two ids that open every method frame's payload.
///
/// # Errors
///
/// [`MethodError`] when the payload is shorter than four octets.
pub(crate) fn read_id(input: &mut Reader<'_>) -> Result<MethodId, MethodError> {
    let unknown = |source| MethodError::Arguments { id: MethodId::new(0, 0), source };
    let class_id = input.u16("class-id").map_err(unknown)?;
    let method_id = input.u16("method-id").map_err(unknown)?;
    Ok(MethodId::new(class_id, method_id))
}

macro_rules! from_payload {
    ($($set:ident: $what:literal),*) => {$(
        impl $set {
            #[doc = concat!("Reads ", $what, " from a method frame's payload: class id, method id, arguments.")]
            ///
            /// # Errors
            ///
            /// [`MethodError`] for an unknown method, one that this side doesn't receive, arguments
            /// that don't decode, or octets left over. It ends the connection.
            pub fn from_payload(payload: &[u8]) -> Result<Self, MethodError> {
                let mut input = Reader::new(payload);
                let id = read_id(&mut input)?;
                Self::decode(id, &mut input)
            }
        }
    )*};
}

from_payload!(
    AnyMethod: "any method",
    ToClient: "a method that a client may receive",
    ToServer: "a method that a server may receive"
);
