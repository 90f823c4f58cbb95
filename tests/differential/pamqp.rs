//! What pamqp makes of frames and values.

use amqp091::types::{Decimal, FieldRef, FieldTable, FieldValue, LongStr, Profile, Reflect};
use amqp091::types::{ShortStr, Timestamp, Value};

use crate::differences::{Difference, Notes};
use crate::frame::Frame;
use crate::model::{Model, Refused, changed, dict, encoded};
use crate::seen::{Octets, Seen, SeenFrame};

/// pamqp 4.
#[derive(Debug)]
pub(crate) struct Pamqp;

/// The last second of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

/// The longest key that pamqp writes.
const KEY_MAX: usize = 128;

impl Model for Pamqp {
    const NAMES: &[(&str, &str)] = &[
        ("connection.open.reserved-1", "capabilities"),
        ("connection.open.reserved-2", "insist"),
        ("connection.open-ok.reserved-1", "known_hosts"),
        ("channel.open.reserved-1", "out_of_band"),
        ("channel.open-ok.reserved-1", "channel_id"),
        ("exchange.declare.type", "exchange_type"),
        ("basic.qos.global", "global_"),
        ("basic.get-empty.reserved-1", "cluster_id"),
        ("basic.properties.type", "message_type"),
    ];

    fn reads(frame: &Frame, notes: &mut Notes) -> Result<SeenFrame, Refused> {
        match frame {
            Frame::Body(_, body) if body.is_empty() => {
                return Err(Refused(Difference::PamqpRefusesEmptyBody));
            }
            Frame::Protocol(header) if header.id != 0 => {
                notes.insert(Difference::PamqpProtocolId);
            }
            _ => {}
        }
        let mut seen = SeenFrame::of(frame, Self::name, |field| argument(field, notes))?;
        if let Frame::Header(_, _, properties) = frame
            && properties.cluster_id.is_none()
        {
            notes.insert(Difference::PamqpClusterIdEmpty);
            seen.fields.push(("cluster_id".into(), Seen::text(b"")));
        }
        Ok(seen)
    }

    fn rewrites(frame: &Frame, notes: &mut Notes) -> Result<Vec<u8>, Refused> {
        if let Frame::Protocol(header) = frame {
            let mut header = *header;
            header.id = 0;
            return Ok(encoded(&Frame::Protocol(header)));
        }
        let is_header = matches!(frame, Frame::Header(..));
        let changed = changed(frame, |field| {
            Ok(Some(match field {
                FieldRef::ShortStr(text) if is_header && text.is_empty() => {
                    notes.insert(Difference::PamqpDropsEmptyProperty);
                    return Ok(None);
                }
                FieldRef::LongStr(text) if text.to_str().is_err() => {
                    return Err(Refused(Difference::PamqpWritesTextOnly));
                }
                FieldRef::Timestamp(time) => FieldValue::Timestamp(rewritten_time(time)),
                FieldRef::Table(table) => FieldValue::Table(rewritten_table(table, notes)?),
                other => FieldValue::from(other),
            }))
        })?;
        Ok(encoded(&changed))
    }

    fn is_valid(frame: &Frame, given: Option<&SeenFrame>, notes: &mut Notes) -> bool {
        let Some(fields) = frame.reflect() else { return true };
        if is_zero_text(frame) {
            if given.is_none() {
                notes.insert(Difference::PamqpWantsZeroText);
            }
            return given.is_some();
        }
        let mut violations = fields.violations(Profile::Pamqp);
        violations.retain(|violation| {
            let name = fields.field(violation.field());
            let name = name.as_ref().and_then(|name| name.as_bytes()).unwrap_or_default();
            let short = violation.field() == "virtual-host"
                && String::from_utf8_lossy(name).chars().count() <= 127;
            if short {
                notes.insert(Difference::PamqpCountsCharacters);
            }
            !short
        });
        violations.is_empty()
    }

    fn plain(frame: &Frame) -> SeenFrame {
        let plain: Result<_, Refused> = SeenFrame::of(frame, Self::name, |field| {
            Ok(match field {
                FieldRef::Table(table) => plain_table(table),
                FieldRef::Timestamp(time) => Seen::Time(plain_time(time)),
                FieldRef::LongLong(number) => Seen::number(number.cast_signed()),
                field => Seen::argument(field),
            })
        });
        plain.expect("nothing is refused")
    }

    fn writes(mut given: SeenFrame, notes: &mut Notes) -> SeenFrame {
        if given.head.starts_with("header ") {
            given.fields.retain(|(name, seen)| {
                let empty = *seen == Seen::text(b"");
                // The one that is empty whenever it isn't there doesn't count.
                if empty && name != "cluster_id" {
                    notes.insert(Difference::PamqpDropsEmptyProperty);
                }
                !empty
            });
        }
        for (name, seen) in &mut given.fields {
            if name == "out_of_band" || name == "channel_id" {
                assert_eq!(*seen, Seen::text(b"0"), "{name}");
                notes.insert(Difference::PamqpWritesZeroText);
                *seen = Seen::text(b"");
            }
            write(seen, notes);
        }
        given
    }

    fn rewritten(frame: &Frame, ours: Vec<u8>, _: &mut Notes) -> Vec<u8> {
        let Frame::Method(channel, method) = frame else { return ours };
        // Both methods have that one argument, one a short string, the other a long one.
        let text: &[u8] = match method.name() {
            "channel.open" => b"\x01\x30",
            "channel.open-ok" => b"\0\0\0\x01\x30",
            _ => return ours,
        };
        let [class, own] = [method.id().class_id, method.id().method_id].map(u16::to_be_bytes);
        let [high, low] = channel.to_be_bytes();
        let size = 4 + text.len() as u8;
        [&[1, high, low, 0, 0, 0, size], &class[..], &own[..], text, &[0xCE]].concat()
    }

    fn value(given: &Seen) -> Value {
        match given {
            Seen::Bit(bit) => Value::Bool(*bit),
            Seen::Number(digits) => smallest(digits.parse().expect("64 bits")),
            Seen::Float(bits) => Value::F32(f64::from_bits(*bits) as f32),
            Seen::Decimal(scale, value) => Value::Decimal(Decimal { scale: *scale, value: *value }),
            Seen::Text(text) => Value::LongStr(LongStr::from(text.0.clone())),
            Seen::Octets(octets) => Value::Bytes(octets.0.clone().into()),
            Seen::Time(milliseconds) => Value::Timestamp(Timestamp((*milliseconds / 1000) as u64)),
            Seen::Nothing => Value::Void,
            Seen::Array(values) => Value::Array(values.iter().map(Self::value).collect()),
            Seen::Table(pairs) => Value::Table(Self::table(pairs)),
            Seen::Long(_) => unreachable!("pika's"),
        }
    }
}

/// The two methods whose only argument is reserved, and '0' to pamqp.
fn is_zero_text(frame: &Frame) -> bool {
    let name = frame.reflect().map(Reflect::name);
    matches!(name, Some("channel.open" | "channel.open-ok"))
}

// --- Reading ------------------------------------------------------------------------------------

fn argument(field: FieldRef<'_>, notes: &mut Notes) -> Result<Seen, Refused> {
    Ok(match field {
        FieldRef::ShortStr(text) => {
            utf8(text)?;
            Seen::text(text.as_bytes())
        }
        FieldRef::LongLong(number) => {
            if i64::try_from(number).is_err() {
                notes.insert(Difference::PamqpSignsLongLong);
            }
            Seen::number(number.cast_signed())
        }
        FieldRef::Timestamp(time) => Seen::Time(read_time(time, notes)?),
        FieldRef::Table(table) => Seen::Table(read_table(table, notes)?),
        field => Seen::argument(field),
    })
}

fn utf8(text: &ShortStr) -> Result<(), Refused> {
    text.to_str().map(drop).map_err(|_| Refused(Difference::PamqpNeedsUtf8))
}

/// Milliseconds.
fn read_time(time: Timestamp, notes: &mut Notes) -> Result<i64, Refused> {
    let milliseconds = if time.0 > u64::from(u32::MAX) {
        notes.insert(Difference::PamqpReadsMilliseconds);
        time.0
    } else {
        time.0 * 1000
    };
    if milliseconds > LAST_SECOND * 1000 + 999 {
        return Err(Refused(Difference::PamqpTimesEnd));
    }
    Ok(milliseconds.cast_signed())
}

fn read_table(table: &FieldTable, notes: &mut Notes) -> Result<Vec<(Octets, Seen)>, Refused> {
    let mut entries = Vec::new();
    for (key, value) in table {
        utf8(key)?;
        entries.push((Octets(key.as_bytes().to_vec()), read(value, notes)?));
    }
    Ok(dict(entries, Difference::PamqpKeepsLastDuplicate, notes))
}

/// A value as pamqp reads it.
pub(crate) fn read(value: &Value, notes: &mut Notes) -> Result<Seen, Refused> {
    Ok(match value {
        Value::Timestamp(time) => Seen::Time(read_time(*time, notes)?),
        Value::Table(table) => Seen::Table(read_table(table, notes)?),
        Value::Array(values) => {
            Seen::Array(values.iter().map(|value| read(value, notes)).collect::<Result<_, _>>()?)
        }
        value => plain(value),
    })
}

// --- Writing ------------------------------------------------------------------------------------

/// The time that pamqp writes for one that it has read.
fn rewritten_time(time: Timestamp) -> Timestamp {
    // That it took these for milliseconds is noted already.
    if time.0 > u64::from(u32::MAX) { Timestamp(time.0 / 1000) } else { time }
}

fn rewritten_table(table: &FieldTable, notes: &mut Notes) -> Result<FieldTable, Refused> {
    let entries = table.iter().map(|(key, value)| (Octets(key.as_bytes().to_vec()), value));
    // The duplicates are noted when the table is read.
    let entries = dict(entries, Difference::PamqpKeepsLastDuplicate, &mut Notes::new());
    let mut written = Vec::new();
    for (key, value) in entries {
        written.push((key, rewritten(value, notes)?));
    }
    write_keys(&mut written, notes);
    let entry = |(key, value): (Octets, Value)| (ShortStr::try_from(key.0).expect("short"), value);
    Ok(written.into_iter().map(entry).collect())
}

/// The value that pamqp writes for one that it has read.
fn rewritten(value: &Value, notes: &mut Notes) -> Result<Value, Refused> {
    Ok(match value {
        Value::LongStr(text) if text.to_str().is_err() => {
            return Err(Refused(Difference::PamqpWritesTextOnly));
        }
        Value::F64(float) => {
            notes.insert(Difference::PamqpFloatsInFour);
            let narrow = *float as f32;
            if !narrow.is_finite() {
                return Err(Refused(Difference::PamqpFloatTooLarge));
            }
            Value::F32(narrow)
        }
        Value::Timestamp(time) => Value::Timestamp(rewritten_time(*time)),
        Value::Array(values) => {
            let values = values.iter().map(|value| rewritten(value, notes));
            Value::Array(values.collect::<Result<_, _>>()?)
        }
        Value::Table(table) => Value::Table(rewritten_table(table, notes)?),
        value => match value.as_i64() {
            Some(number) => {
                let smallest = smallest(number);
                if smallest != *value {
                    notes.insert(Difference::PamqpSmallestInteger);
                }
                smallest
            }
            None => value.clone(),
        },
    })
}

/// The tags in the order that pamqp tries them in.
fn smallest(number: i64) -> Value {
    if let Ok(number) = i8::try_from(number) {
        Value::I8(number)
    } else if let Ok(number) = i16::try_from(number) {
        Value::I16(number)
    } else if let Ok(number) = u16::try_from(number) {
        Value::U16(number)
    } else if let Ok(number) = i32::try_from(number) {
        Value::I32(number)
    } else if let Ok(number) = u32::try_from(number) {
        Value::U32(number)
    } else {
        Value::I64(number)
    }
}

/// Puts keys in order, and cuts them.
fn write_keys<V>(entries: &mut [(Octets, V)], notes: &mut Notes) {
    if !entries.is_sorted_by(|(a, _), (b, _)| a <= b) {
        notes.insert(Difference::PamqpSortsKeys);
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    }
    for (key, _) in entries {
        if key.0.len() > KEY_MAX {
            notes.insert(Difference::PamqpCutsKeys);
            let text = std::str::from_utf8(&key.0).expect("pamqp reads and takes nothing else");
            let end = (0..=KEY_MAX).rev().find(|end| text.is_char_boundary(*end));
            key.0.truncate(end.unwrap_or_default());
        }
    }
}

/// Makes of what pamqp was given what it writes.
fn write(seen: &mut Seen, notes: &mut Notes) {
    match seen {
        Seen::Float(bits) => {
            let float = f64::from_bits(*bits);
            if !float.is_finite() {
                notes.insert(Difference::PamqpWritesNotFinite);
            }
            let narrow = f64::from(float as f32).to_bits();
            if narrow != *bits {
                notes.insert(Difference::PamqpFloatsInFour);
                *bits = narrow;
            }
        }
        Seen::Array(values) => values.iter_mut().for_each(|value| write(value, notes)),
        Seen::Table(entries) => {
            write_keys(entries, notes);
            entries.iter_mut().for_each(|(_, value)| write(value, notes));
        }
        _ => {}
    }
}

// --- As it is -----------------------------------------------------------------------------------

fn plain_time(time: Timestamp) -> i64 {
    time.0.saturating_mul(1000).cast_signed()
}

fn plain_table(table: &FieldTable) -> Seen {
    let entry = |(key, value): (&ShortStr, &Value)| (Octets(key.as_bytes().to_vec()), plain(value));
    Seen::Table(table.iter().map(entry).collect())
}

fn plain(value: &Value) -> Seen {
    match value {
        Value::Bool(bit) => Seen::Bit(*bit),
        Value::F32(float) => Seen::Float(f64::from(*float).to_bits()),
        Value::F64(float) => Seen::Float(float.to_bits()),
        Value::Decimal(decimal) => Seen::Decimal(decimal.scale, decimal.value),
        Value::LongStr(text) => Seen::text(text.as_bytes()),
        Value::Bytes(octets) => Seen::Octets(Octets(octets.to_vec())),
        Value::Timestamp(time) => Seen::Time(plain_time(*time)),
        Value::Void => Seen::Nothing,
        Value::Array(values) => Seen::Array(values.iter().map(plain).collect()),
        Value::Table(table) => plain_table(table),
        value => Seen::number(value.as_i64().expect("the other types are integers")),
    }
}
