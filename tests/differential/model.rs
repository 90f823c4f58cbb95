//! What there is to know about another codec: how it names things, and what it makes of frames and values, with each
//! intended difference noted.

use amqp091::types::{FieldRef, FieldTable, FieldValue, LongStr, Reflect, ShortStr, Timestamp};
use amqp091::types::{Value, schema::WireType};

use crate::differences::{Difference, Notes};
use crate::frame::Frame;
use crate::seen::{Octets, Seen, SeenFrame};

/// The difference that makes a codec refuse a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Refused(pub(crate) Difference);

/// Another codec, as we know it.
pub(crate) trait Model {
    /// Arguments and properties whose names differ by more than `_` for `-`: `method.field` of the specification, and
    /// the codec's name.
    const NAMES: &[(&str, &str)];

    /// What it sees in a frame that we wrote.
    fn reads(frame: &Frame, notes: &mut Notes) -> Result<SeenFrame, Refused>;

    /// The frame that it makes of one that it has read.
    fn rewrites(frame: &Frame, notes: &mut Notes) -> Result<Vec<u8>, Refused>;

    /// What its checks say about a frame; `given` is what it was given to write, if it wrote the frame.
    fn is_valid(frame: &Frame, given: Option<&SeenFrame>, notes: &mut Notes) -> bool;

    /// What there is to see in a frame, all of it: the wire's values in the codec's types.
    fn plain(frame: &Frame) -> SeenFrame;

    /// Of what it was given to write, what is on the wire.
    fn writes(given: SeenFrame, notes: &mut Notes) -> SeenFrame;

    /// Of a frame that it wrote, octets as we write the same frame, with what it writes otherwise.
    fn rewritten(frame: &Frame, ours: Vec<u8>, notes: &mut Notes) -> Vec<u8>;

    /// The value of a table that it writes for what it was given.
    fn value(given: &Seen) -> Value;

    /// Its name of an argument or a property.
    fn name(owner: &dyn Reflect, index: usize) -> String {
        let field = owner.schema()[index].name;
        let path = format!("{}.{field}", owner.name());
        match Self::NAMES.iter().find(|(ours, _)| *ours == path) {
            Some((_, theirs)) => (*theirs).to_owned(),
            // As RabbitMQ's description of the protocol spells them.
            None if field == "reserved-1" => "ticket".into(),
            None if field == "no-wait" => "nowait".into(),
            None => field.replace('-', "_"),
        }
    }

    /// The argument that it writes for what it was given.
    fn field(given: &Seen, wire_type: WireType) -> FieldValue {
        let number = || match given {
            // What pamqp takes for negative is a large number to us.
            Seen::Number(digits) | Seen::Long(digits) => {
                digits.parse::<i128>().expect("a number") as u64
            }
            _ => panic!("no number: {given:?}"),
        };
        let octets = || match given {
            Seen::Text(octets) => octets.0.clone(),
            _ => panic!("no string: {given:?}"),
        };
        match (wire_type, given) {
            (WireType::Bit, Seen::Bit(bit)) => FieldValue::Bit(*bit),
            (WireType::Octet, _) => FieldValue::Octet(number() as u8),
            (WireType::Short, _) => FieldValue::Short(number() as u16),
            (WireType::Long, _) => FieldValue::Long(number() as u32),
            (WireType::LongLong, _) => FieldValue::LongLong(number()),
            (WireType::Timestamp, Seen::Time(milliseconds)) => {
                FieldValue::Timestamp(Timestamp((milliseconds / 1000) as u64))
            }
            (WireType::Timestamp, _) => FieldValue::Timestamp(Timestamp(number())),
            (WireType::ShortStr, _) => {
                FieldValue::ShortStr(ShortStr::try_from(octets()).expect("a short string"))
            }
            (WireType::LongStr, _) => FieldValue::LongStr(LongStr::from(octets())),
            (WireType::Table, Seen::Table(pairs)) => FieldValue::Table(Self::table(pairs)),
            _ => panic!("no {wire_type}: {given:?}"),
        }
    }

    /// The table that it writes for what it was given.
    fn table(pairs: &[(Octets, Seen)]) -> FieldTable {
        let pair = |(key, seen): &(Octets, Seen)| {
            (ShortStr::new(&key.0).expect("a short string"), Self::value(seen))
        };
        pairs.iter().map(pair).collect()
    }

    /// The frame of ours that is built of what it was given to write: like `frame`, and with no value of it.
    fn build(frame: &Frame, given: &SeenFrame) -> Frame {
        let mut built = match frame {
            Frame::Method(channel, method) => Frame::Method(
                *channel,
                amqp091::protocol::AnyMethod::new(method.id()).expect("a method"),
            ),
            Frame::Header(channel, size, _) => Frame::Header(*channel, *size, Box::default()),
            Frame::Body(..) | Frame::Heartbeat | Frame::Protocol(_) => return frame.clone(),
        };
        let target: &mut dyn Reflect = match &mut built {
            Frame::Method(_, method) => method,
            Frame::Header(_, _, properties) => &mut **properties,
            _ => unreachable!("returned above"),
        };
        for (name, seen) in &given.fields {
            let mut schema = target.schema().iter().enumerate();
            let (index, info) = schema
                .find(|(index, _)| Self::name(target.as_reflect(), *index) == *name)
                .unwrap_or_else(|| panic!("{} has no {name}", target.name()));
            if !info.reserved {
                target.set_field_at(index, Self::field(seen, info.wire_type)).expect("its type");
            }
        }
        built
    }
}

/// The entries as they are in a dict: a key that is there twice is where it was first, with the last value.
pub(crate) fn dict<V>(
    entries: impl IntoIterator<Item = (Octets, V)>,
    duplicate: Difference,
    notes: &mut Notes,
) -> Vec<(Octets, V)> {
    let mut dict: Vec<(Octets, V)> = Vec::new();
    for (key, value) in entries {
        match dict.iter_mut().find(|(there, _)| *there == key) {
            Some(there) => {
                notes.insert(duplicate);
                there.1 = value;
            }
            None => dict.push((key, value)),
        }
    }
    dict
}

/// The same frame with each argument and property changed; `None` leaves a property out.
pub(crate) fn changed(
    frame: &Frame,
    mut change: impl FnMut(FieldRef<'_>) -> Result<Option<FieldValue>, Refused>,
) -> Result<Frame, Refused> {
    let mut copy = frame.clone();
    if let Frame::Header(_, _, properties) = &mut copy {
        **properties = Default::default();
    }
    let Some(fields) = frame.reflect() else { return Ok(copy) };
    let target: &mut dyn Reflect = match &mut copy {
        Frame::Method(_, method) => method,
        Frame::Header(_, _, properties) => &mut **properties,
        _ => unreachable!("has fields"),
    };
    for index in 0..fields.schema().len() {
        if let Some(field) = fields.field_at(index)
            && let Some(value) = change(field)?
        {
            target.set_field_at(index, value).expect("its type");
        }
    }
    Ok(copy)
}

/// Encodes a frame that has been changed, which can't have made it unfit for that.
pub(crate) fn encoded(frame: &Frame) -> Vec<u8> {
    frame.encode().expect("no more than what came over the wire")
}
