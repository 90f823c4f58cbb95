//! What pika makes of frames and values.

use amqp091::protocol::AnyMethod;
use amqp091::types::{Decimal, FieldRef, FieldTable, FieldValue, LongStr, ShortStr};
use amqp091::types::{Timestamp, Value};

use crate::differences::{Difference, Notes};
use crate::frame::Frame;
use crate::model::{Model, Refused, changed, dict, encoded};
use crate::seen::{Octets, Seen, SeenFrame};

/// pika 1.4.
#[derive(Debug)]
pub(crate) struct Pika;

/// The last second of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

impl Model for Pika {
    const NAMES: &[(&str, &str)] = &[
        ("connection.open.reserved-1", "capabilities"),
        ("connection.open.reserved-2", "insist"),
        ("connection.open-ok.reserved-1", "known_hosts"),
        ("channel.open.reserved-1", "out_of_band"),
        ("channel.open-ok.reserved-1", "channel_id"),
        ("basic.qos.global", "global_qos"),
        ("basic.get-empty.reserved-1", "cluster_id"),
    ];

    fn reads(frame: &Frame, notes: &mut Notes) -> Result<SeenFrame, Refused> {
        if let Frame::Method(_, AnyMethod::ConnectionUpdateSecret(_)) = frame {
            return Err(Refused(Difference::PikaCannotReadUpdateSecret));
        }
        if let Frame::Protocol(header) = frame {
            if header.id != 0 {
                notes.insert(Difference::PikaProtocolId);
            }
            let known = protocol_header(frame, notes);
            return Ok(Self::plain(&known));
        }
        SeenFrame::of(frame, Self::name, |field| {
            Ok(match field {
                FieldRef::Table(table) => Seen::Table(read_table(table, notes)?),
                field => Seen::argument(field),
            })
        })
    }

    fn rewrites(frame: &Frame, notes: &mut Notes) -> Result<Vec<u8>, Refused> {
        let known = protocol_header(frame, notes);
        let changed = changed(&known, |field| {
            Ok(Some(match field {
                FieldRef::Table(table) => FieldValue::Table(rewritten_table(table, notes)?),
                other => FieldValue::from(other),
            }))
        })?;
        Ok(encoded(&changed))
    }

    fn is_valid(_: &Frame, _: Option<&SeenFrame>, _: &mut Notes) -> bool {
        true // It has no checks.
    }

    fn plain(frame: &Frame) -> SeenFrame {
        let plain: Result<_, Refused> = SeenFrame::of(frame, Self::name, |field| {
            Ok(match field {
                FieldRef::Table(table) => plain_table(table),
                field => Seen::argument(field),
            })
        });
        plain.expect("nothing is refused")
    }

    fn writes(mut given: SeenFrame, notes: &mut Notes) -> SeenFrame {
        for (_, seen) in &mut given.fields {
            if let Seen::Table(entries) = seen {
                entries.iter_mut().for_each(|(_, value)| write(value, notes));
            }
        }
        given
    }

    fn rewritten(_: &Frame, ours: Vec<u8>, _: &mut Notes) -> Vec<u8> {
        ours
    }

    fn value(given: &Seen) -> Value {
        match given {
            Seen::Bit(bit) => Value::Bool(*bit),
            Seen::Number(digits) => Value::I32(digits.parse().expect("32 bits")),
            Seen::Long(digits) => Value::I64(digits.parse().expect("64 bits")),
            Seen::Decimal(scale, value) => Value::Decimal(Decimal { scale: *scale, value: *value }),
            Seen::Text(text) => Value::LongStr(LongStr::from(text.0.clone())),
            Seen::Octets(octets) => Value::Bytes(octets.0.clone().into()),
            Seen::Time(milliseconds) => Value::Timestamp(Timestamp((*milliseconds / 1000) as u64)),
            Seen::Nothing => Value::Void,
            Seen::Array(values) => Value::Array(values.iter().map(Self::value).collect()),
            Seen::Table(pairs) => Value::Table(Self::table(pairs)),
            Seen::Float(_) => unreachable!("pika writes none"),
        }
    }
}

/// The protocol header that pika makes of one; any other frame as it is.
fn protocol_header(frame: &Frame, notes: &mut Notes) -> Frame {
    let mut known = frame.clone();
    if let Frame::Protocol(header) = &mut known {
        header.id = 0;
        if header.minor == 0 || header.revision == 0 {
            notes.insert(Difference::PikaReplacesZeroVersion);
        }
        if header.minor == 0 {
            header.minor = 9;
        }
        if header.revision == 0 {
            header.revision = 1;
        }
    }
    known
}

// --- Reading ------------------------------------------------------------------------------------

fn read_table(table: &FieldTable, notes: &mut Notes) -> Result<Vec<(Octets, Seen)>, Refused> {
    let mut entries = Vec::new();
    for (key, value) in table {
        entries.push((Octets(key.as_bytes().to_vec()), read(value, notes)?));
    }
    Ok(dict(entries, Difference::PikaKeepsLastDuplicate, notes))
}

/// A value as pika reads it.
pub(crate) fn read(value: &Value, notes: &mut Notes) -> Result<Seen, Refused> {
    Ok(match value {
        Value::F32(float) => read_float(f64::from(*float), notes),
        Value::F64(float) => read_float(*float, notes),
        Value::LongStr(text) if text.to_str().is_err() => {
            notes.insert(Difference::PikaRetagsOctets);
            Seen::Octets(Octets(text.as_bytes().to_vec()))
        }
        Value::Timestamp(time) if time.0 > LAST_SECOND => {
            return Err(Refused(Difference::PikaTimesEnd));
        }
        Value::Array(values) => {
            Seen::Array(values.iter().map(|value| read(value, notes)).collect::<Result<_, _>>()?)
        }
        Value::Table(table) => Seen::Table(read_table(table, notes)?),
        value => plain(value),
    })
}

fn read_float(float: f64, notes: &mut Notes) -> Seen {
    notes.insert(Difference::PikaTruncatesFloats);
    Seen::Long(truncated(float))
}

/// All digits of a float's whole part.
fn truncated(float: f64) -> String {
    let whole = format!("{:.0}", float.trunc());
    if whole == "-0" { "0".into() } else { whole }
}

// --- Writing ------------------------------------------------------------------------------------

fn rewritten_table(table: &FieldTable, notes: &mut Notes) -> Result<FieldTable, Refused> {
    let entries = table.iter().map(|(key, value)| (Octets(key.as_bytes().to_vec()), value));
    // The duplicates are noted when the table is read.
    let entries = dict(entries, Difference::PikaKeepsLastDuplicate, &mut Notes::new());
    let entry = |(key, value): (Octets, &Value)| {
        Ok((ShortStr::try_from(key.0).expect("short"), rewritten(value, notes)?))
    };
    entries.into_iter().map(entry).collect()
}

/// The value that pika writes for one that it has read.
fn rewritten(value: &Value, notes: &mut Notes) -> Result<Value, Refused> {
    Ok(match value {
        Value::F32(float) => rewritten_float(f64::from(*float))?,
        Value::F64(float) => rewritten_float(*float)?,
        Value::LongStr(text) if text.to_str().is_err() => {
            Value::Bytes(text.as_bytes().to_vec().into())
        }
        Value::Decimal(decimal) => Value::Decimal(normal(*decimal, notes)),
        Value::Array(values) => {
            let values = values.iter().map(|value| rewritten(value, notes));
            Value::Array(values.collect::<Result<_, _>>()?)
        }
        Value::Table(table) => Value::Table(rewritten_table(table, notes)?),
        Value::I64(_) => value.clone(),
        value => match value.as_i64() {
            Some(number) => {
                let written = integer(number);
                if written != *value {
                    notes.insert(Difference::PikaIntegersInTwoSizes);
                }
                written
            }
            None => value.clone(),
        },
    })
}

fn rewritten_float(float: f64) -> Result<Value, Refused> {
    let whole = truncated(float).parse().map_err(|_| Refused(Difference::PikaFloatTooLarge))?;
    Ok(Value::I64(whole))
}

fn integer(number: i64) -> Value {
    i32::try_from(number).map_or(Value::I64(number), Value::I32)
}

fn normal(decimal: Decimal, notes: &mut Notes) -> Decimal {
    let Decimal { mut scale, mut value } = decimal;
    while scale > 0 && value % 10 == 0 {
        // Zero has no scale.
        scale = if value == 0 { 0 } else { scale - 1 };
        value /= 10;
    }
    let normal = Decimal { scale, value };
    if normal != decimal {
        notes.insert(Difference::PikaNormalDecimals);
    }
    normal
}

/// Makes of what pika was given what it writes.
fn write(seen: &mut Seen, notes: &mut Notes) {
    match seen {
        Seen::Number(digits) if digits.parse::<i32>().is_err() => {
            *seen = Seen::Long(digits.clone());
        }
        Seen::Decimal(scale, value) => {
            let Decimal { scale, value } = normal(Decimal { scale: *scale, value: *value }, notes);
            *seen = Seen::Decimal(scale, value);
        }
        Seen::Array(values) => values.iter_mut().for_each(|value| write(value, notes)),
        Seen::Table(entries) => entries.iter_mut().for_each(|(_, value)| write(value, notes)),
        _ => {}
    }
}

// --- As it is -----------------------------------------------------------------------------------

fn plain_table(table: &FieldTable) -> Seen {
    let entry = |(key, value): (&ShortStr, &Value)| (Octets(key.as_bytes().to_vec()), plain(value));
    Seen::Table(table.iter().map(entry).collect())
}

fn plain(value: &Value) -> Seen {
    match value {
        Value::Bool(bit) => Seen::Bit(*bit),
        Value::I64(number) => Seen::Long(number.to_string()),
        Value::F32(float) => Seen::Float(f64::from(*float).to_bits()),
        Value::F64(float) => Seen::Float(float.to_bits()),
        Value::Decimal(decimal) => Seen::Decimal(decimal.scale, decimal.value),
        Value::LongStr(text) => Seen::text(text.as_bytes()),
        Value::Bytes(octets) => Seen::Octets(Octets(octets.to_vec())),
        Value::Timestamp(time) => Seen::Time(time.0.saturating_mul(1000).cast_signed()),
        Value::Void => Seen::Nothing,
        Value::Array(values) => Seen::Array(values.iter().map(plain).collect()),
        Value::Table(table) => plain_table(table),
        value => Seen::number(value.as_i64().expect("the other types are integers")),
    }
}
