//! What a codec sees in a frame: the text that the Python side writes (text.py describes it), parsed, and the same of
//! a frame of ours.

use amqp091::types::{FieldRef, Reflect, Timestamp, Value};

use crate::frame::Frame;

/// A frame as a codec shows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SeenFrame {
    /// What it is: `method 5 Basic.Ack`.
    pub(crate) head: String,
    /// Arguments or properties by the codec's names, in its order.
    pub(crate) fields: Vec<(String, Seen)>,
}

/// A value as a codec shows it: by its type in Python, which tells less than a tag does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    Bit(bool),
    /// Decimal digits: some codecs make integers of floats that no type of ours holds.
    Number(String),
    /// pika's integer that is always written with 64 bits.
    Long(String),
    /// The bits of an f64.
    Float(u64),
    Decimal(u8, i32),
    Text(Octets),
    /// Octets that the codec tells from a string.
    Octets(Octets),
    /// Milliseconds.
    Time(i64),
    Nothing,
    Array(Vec<Self>),
    Table(Vec<(Octets, Self)>),
}

/// Octets, printed in a readable way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Octets(pub(crate) Vec<u8>);

impl std::fmt::Debug for Octets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl Seen {
    pub(crate) fn number(number: impl ToString) -> Self {
        Self::Number(number.to_string())
    }

    pub(crate) fn text(octets: &[u8]) -> Self {
        Self::Text(Octets(octets.to_vec()))
    }

    /// An argument that isn't a table, as every codec sees it.
    pub(crate) fn argument(value: FieldRef<'_>) -> Self {
        match value {
            FieldRef::Bit(value) => Self::Bit(value),
            FieldRef::Octet(value) => Self::number(value),
            FieldRef::Short(value) => Self::number(value),
            FieldRef::Long(value) => Self::number(value),
            FieldRef::LongLong(value) => Self::number(value),
            FieldRef::Timestamp(Timestamp(value)) => Self::number(value),
            FieldRef::ShortStr(value) => Self::text(value.as_bytes()),
            FieldRef::LongStr(value) => Self::text(value.as_bytes()),
            FieldRef::Table(_) => unreachable!("each codec has its own way with tables"),
        }
    }
}

impl SeenFrame {
    /// A frame of ours: `name` gives the codec's name of a field by its index, `value` what it sees in one. In a
    /// reserved one it sees zero.
    pub(crate) fn of<E>(
        frame: &Frame,
        name: impl Fn(&dyn Reflect, usize) -> String,
        mut value: impl FnMut(FieldRef<'_>) -> Result<Seen, E>,
    ) -> Result<Self, E> {
        let mut fields = Vec::new();
        if let Some(reflect) = frame.reflect() {
            for (index, info) in reflect.schema().iter().enumerate() {
                let seen = match reflect.field_at(index) {
                    Some(field) => value(field)?,
                    None if info.reserved => zero(info.wire_type),
                    None => continue,
                };
                fields.push((name(reflect, index), seen));
            }
        }
        let head = match frame {
            Frame::Method(channel, method) => {
                format!("method {channel} {}", python_name(method.name()))
            }
            Frame::Header(channel, size, _) => format!("header {channel} 60 0 {size}"),
            Frame::Body(channel, body) => {
                fields.push((String::new(), Seen::text(body)));
                format!("body {channel}")
            }
            Frame::Heartbeat => "heartbeat 0".into(),
            Frame::Protocol(header) => {
                format!("protocol {} {} {}", header.major, header.minor, header.revision)
            }
        };
        Ok(Self { head, fields })
    }

    /// Parses a frame's text.
    pub(crate) fn parse(text: &str) -> Self {
        let mut head = Vec::new();
        let mut fields = Vec::new();
        for word in text.split(' ') {
            if let Some((name, value)) = word.split_once('=') {
                fields.push((name.to_owned(), parse_all(value)));
            } else if text.starts_with("body ") && word.starts_with('S') {
                fields.push((String::new(), parse_all(word)));
            } else {
                head.push(word);
            }
        }
        Self { head: head.join(" "), fields }
    }
}

/// What a reserved argument holds.
fn zero(wire_type: amqp091::types::schema::WireType) -> Seen {
    use amqp091::types::schema::WireType;
    match wire_type {
        WireType::Bit => Seen::Bit(false),
        WireType::ShortStr | WireType::LongStr => Seen::text(b""),
        WireType::Table => Seen::Table(Vec::new()),
        _ => Seen::number(0),
    }
}

/// `Basic.GetEmpty`, as both codecs spell basic.get-empty.
pub(crate) fn python_name(name: &str) -> String {
    let capitalized = |word: &str| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    };
    let part = |part: &str| part.split('-').map(capitalized).collect::<String>();
    name.split('.').map(part).collect::<Vec<_>>().join(".")
}

/// Whether a float anywhere in a table of the frame isn't finite.
pub(crate) fn has_infinity(frame: &Frame) -> bool {
    fn is_infinite(value: &Value) -> bool {
        match value {
            Value::F32(value) => !value.is_finite(),
            Value::F64(value) => !value.is_finite(),
            Value::Array(values) => values.iter().any(is_infinite),
            Value::Table(table) => table.iter().any(|(_, value)| is_infinite(value)),
            _ => false,
        }
    }
    let fields = frame.reflect().into_iter().flat_map(Reflect::fields);
    fields.into_iter().any(|(_, field)| match field {
        FieldRef::Table(table) => table.iter().any(|(_, value)| is_infinite(value)),
        _ => false,
    })
}

/// Parses a value, all of the text.
pub(crate) fn parse_all(text: &str) -> Seen {
    let mut rest = text;
    let seen = parse(&mut rest);
    assert!(rest.is_empty(), "{rest:?} is left of {text}");
    seen
}

fn parse(rest: &mut &str) -> Seen {
    let kind = take(rest, 1);
    match kind {
        "t" => Seen::Bit(take(rest, 1) == "1"),
        "n" => Seen::Number(word(rest).to_owned()),
        "l" => Seen::Long(word(rest).to_owned()),
        "f" => Seen::Float(u64::from_str_radix(word(rest), 16).expect("16 hex digits")),
        "D" => {
            let (scale, value) = word(rest).split_once(':').expect("scale:value");
            Seen::Decimal(scale.parse().expect("a scale"), value.parse().expect("a value"))
        }
        "S" => Seen::Text(octets(word(rest))),
        "x" => Seen::Octets(octets(word(rest))),
        "T" => Seen::Time(word(rest).parse().expect("milliseconds")),
        "V" => Seen::Nothing,
        "A" => Seen::Array(list(rest, '[', ']', parse)),
        "F" => Seen::Table(list(rest, '{', '}', |rest| {
            let key = until(rest, b":");
            take(rest, 1);
            (octets(key), parse(rest))
        })),
        _ => panic!("no value begins with {kind:?}: {rest}"),
    }
}

fn list<T>(rest: &mut &str, open: char, close: char, item: impl Fn(&mut &str) -> T) -> Vec<T> {
    let mut items = Vec::new();
    assert!(rest.starts_with(open), "{open} is missing: {rest}");
    take(rest, 1);
    while !rest.starts_with(close) {
        items.push(item(rest));
        if rest.starts_with(',') {
            take(rest, 1);
        }
    }
    take(rest, 1);
    items
}

fn take<'a>(rest: &mut &'a str, len: usize) -> &'a str {
    let (taken, behind) = rest.split_at(len);
    *rest = behind;
    taken
}

fn until<'a>(rest: &mut &'a str, ends: &[u8]) -> &'a str {
    let len = rest.bytes().position(|octet| ends.contains(&octet)).unwrap_or(rest.len());
    take(rest, len)
}

/// All that belongs to a scalar.
fn word<'a>(rest: &mut &'a str) -> &'a str {
    until(rest, b",]}")
}

fn octets(hex: &str) -> Octets {
    Octets(from_hex(hex))
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Octets of pairs of hex digits.
pub(crate) fn from_hex(hex: &str) -> Vec<u8> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => panic!("no hex digit: {digit:#04x}"),
    };
    let (pairs, rest) = hex.as_bytes().as_chunks();
    assert!(rest.is_empty(), "an odd number of hex digits: {hex}");
    pairs.iter().map(|[high, low]| digit(*high) << 4 | digit(*low)).collect()
}

/// Octets as pairs of hex digits.
pub(crate) fn to_hex(octets: &[u8]) -> String {
    let mut hex = Vec::with_capacity(2 * octets.len());
    for octet in octets {
        hex.push(DIGITS[usize::from(octet >> 4)]);
        hex.push(DIGITS[usize::from(octet & 15)]);
    }
    String::from_utf8(hex).expect("digits")
}

#[test]
fn texts_are_parsed() {
    let text = "header 1 60 0 9 headers=F{61:A[n-5,V,F{}],:t1,ff:D3:-7} priority=n9 type=S";
    let table = Seen::Table(vec![
        (octets("61"), Seen::Array(vec![Seen::number(-5), Seen::Nothing, Seen::Table(vec![])])),
        (octets(""), Seen::Bit(true)),
        (octets("ff"), Seen::Decimal(3, -7)),
    ]);
    let fields = [("headers", table), ("priority", Seen::number(9)), ("type", Seen::text(b""))];
    let expected = SeenFrame {
        head: "header 1 60 0 9".into(),
        fields: fields.map(|(name, seen)| (name.to_owned(), seen)).to_vec(),
    };
    assert_eq!(SeenFrame::parse(text), expected);
    assert_eq!(SeenFrame::parse("body 7 S00ff").fields[0].1, Seen::text(b"\x00\xff"));
}

#[test]
fn names_are_those_of_python() {
    assert_eq!(python_name("basic.get-empty"), "Basic.GetEmpty");
    assert_eq!(python_name("connection.update-secret-ok"), "Connection.UpdateSecretOk");
}
