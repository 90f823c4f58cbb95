//! Random frames: every method with random arguments, properties, tables of all types, bodies.

use amqp091::bytes::Bytes;
use amqp091::protocol::{AnyMethod, basic};
use amqp091::protocol_header::ProtocolHeader;
use amqp091::types::schema::{FieldInfo, WireType};
use amqp091::types::{
    Decimal, FieldTable, FieldValue, LongStr, MethodId, Reflect, ShortStr, Timestamp, Value,
};

use crate::frame::Frame;

/// Tables are nested at most this deep, but for one in a hundred, which nests as deep as can be.
const DEPTH: usize = 4;

/// The same numbers for the same seed, on every machine: xorshift64*.
#[derive(Debug)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // Never 0, and near seeds begin far from each other.
        let mut random = Self { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1 };
        random.next();
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Less than `end`. The upper bits of the generator are its best ones.
    fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }

    fn one_in(&mut self, number: usize) -> bool {
        self.below(number) == 0
    }

    fn of<T: Copy>(&mut self, choice: &[T]) -> T {
        choice[self.below(choice.len())]
    }

    /// A number of so many bits: the borders often, small and large ones as often as each other.
    fn bits(&mut self, bits: u32) -> u64 {
        let all = u64::MAX >> (64 - bits);
        match self.below(8) {
            0 => 0,
            1 => all,
            2 => all / 2,
            3 => all / 2 + 1,
            4 => (1 << self.below(bits as usize)) - 1,
            _ => (self.next() & all) >> self.below(bits as usize),
        }
    }

    /// A method with that id and random arguments.
    pub(crate) fn method(&mut self, id: MethodId) -> Frame {
        let mut method = AnyMethod::new(id).expect("a method of the table");
        for (index, info) in method.schema().iter().enumerate() {
            if !info.reserved {
                let value = self.field(info);
                method.set_field_at(index, value).expect("of the field's type");
            }
        }
        Frame::Method(self.next() as u16, method)
    }

    /// A content header, in which each property is there or not.
    pub(crate) fn header(&mut self) -> Frame {
        let mut properties = basic::Properties::default();
        for (index, info) in properties.schema().iter().enumerate() {
            if self.one_in(2) {
                let value = self.field(info);
                properties.set_field_at(index, value).expect("of the property's type");
            }
        }
        Frame::Header(self.content_channel(), self.bits(64), Box::new(properties))
    }

    pub(crate) fn body(&mut self) -> Frame {
        Frame::Body(self.content_channel(), Bytes::from(self.octets(100_000)))
    }

    pub(crate) fn protocol_header(&mut self) -> Frame {
        let [id, major, minor, revision] = (self.next() as u32).to_be_bytes();
        let octet = |random: &mut Self, octet| if random.one_in(3) { 0 } else { octet };
        Frame::Protocol(ProtocolHeader {
            id: octet(self, id),
            major: octet(self, major),
            minor: octet(self, minor),
            revision: octet(self, revision),
        })
    }

    /// Content never is on channel 0.
    fn content_channel(&mut self) -> u16 {
        (self.next() as u16).max(1)
    }

    fn field(&mut self, info: &FieldInfo) -> FieldValue {
        match info.wire_type {
            WireType::Bit => FieldValue::Bit(self.one_in(2)),
            WireType::Octet => FieldValue::Octet(self.bits(8) as u8),
            WireType::Short => FieldValue::Short(self.bits(16) as u16),
            WireType::Long => FieldValue::Long(self.bits(32) as u32),
            WireType::LongLong => FieldValue::LongLong(self.bits(64)),
            // Somebody counts its characters: many of them, or few with many octets.
            WireType::ShortStr if info.domain == Some("path") && self.one_in(2) => {
                let text = self.of(&["a", "é", "€"]).repeat(self.of(&[64, 85, 127, 128]));
                FieldValue::ShortStr(ShortStr::new(text).unwrap_or_default())
            }
            WireType::ShortStr => FieldValue::ShortStr(self.short_str(ShortStr::MAX_LEN)),
            WireType::LongStr => FieldValue::LongStr(self.long_str()),
            WireType::Timestamp => FieldValue::Timestamp(self.timestamp()),
            WireType::Table => {
                FieldValue::Table(if self.one_in(100) { self.deep_table() } else { self.table(0) })
            }
        }
    }

    /// Text: names, or whatever characters, of lengths around the borders that somebody has.
    fn text(&mut self, longest: usize) -> String {
        const NAME: &[u8] = b"abcxyzABCXYZ0189-_.:";
        const MORE: &[char] =
            &['@', '#', ',', '/', '+', ' ', '"', '\\', '\n', '\0', 'é', 'ß', 'Ж', '中', '€', '🐇'];
        let length = self.of(&[0, 0, 1, 2, 5, 9, 20, 37, 38, 39, 100, 126, 127, 128, 129, longest]);
        let more = self.of(&[0, 0, 0, 1, 50]);
        let mut text = String::new();
        loop {
            let character =
                if self.below(100) < more { self.of(MORE) } else { char::from(self.of(NAME)) };
            if text.len() + character.len_utf8() > length.min(longest) {
                return text;
            }
            text.push(character);
        }
    }

    fn short_str(&mut self, longest: usize) -> ShortStr {
        let mut octets = self.text(longest).into_bytes();
        if self.one_in(60) {
            octets.truncate(longest - 1);
            octets.push(self.of(&[0x80, 0xC3, 0xFF]));
        }
        ShortStr::try_from(octets).expect("no longer than a short string")
    }

    fn long_str(&mut self) -> LongStr {
        match self.below(400) {
            0..20 => LongStr::from([&self.octets(300)[..], b"\xFF"].concat()),
            20 => LongStr::from(self.text(255).repeat(300)),
            _ => LongStr::from(self.text(2000)),
        }
    }

    /// Any octets; seldom many.
    fn octets(&mut self, most: usize) -> Vec<u8> {
        let length = match self.below(20) {
            0 => self.below(most + 1),
            1..5 => 0,
            _ => self.below(50),
        };
        (0..length).map(|_| (self.next() >> 32) as u8).collect()
    }

    /// Seconds of our time; also what somebody could take for milliseconds, and any number.
    fn timestamp(&mut self) -> Timestamp {
        const LAST_MILLISECOND: u64 = 253_402_300_799_999;
        Timestamp(match self.below(40) {
            0 => self.of(&[0, 1, u64::from(u32::MAX), 1 << 32]),
            1 => self.of(&[LAST_MILLISECOND, LAST_MILLISECOND / 1000]),
            2..6 => (1 << 32) + self.next() % (LAST_MILLISECOND - (1 << 32)),
            6..8 => self.bits(64),
            _ => self.bits(32),
        })
    }

    fn table(&mut self, level: usize) -> FieldTable {
        let mut table = FieldTable::new();
        for _ in 0..self.of(&[0, 1, 1, 2, 3, 8]) {
            let mut key = self.short_str(ShortStr::MAX_LEN);
            if let Some((first, _)) = table.iter().next()
                && self.one_in(20)
            {
                key = first.clone();
            }
            table.push(key, self.value(level));
        }
        table
    }

    /// As deep as tables can be: each holds, among others, the next.
    fn deep_table(&mut self) -> FieldTable {
        let mut table = self.table(DEPTH);
        for _ in 1..amqp091::types::limits::TABLE_DEPTH_MAX {
            let next = if self.one_in(2) {
                Value::Table(table)
            } else {
                // An array counts as a level too; here it replaces one.
                Value::Array(table.into_iter().map(|(_, value)| value).collect())
            };
            table = FieldTable::new();
            table.push(self.short_str(10), next);
            if self.one_in(4) {
                table.push(self.short_str(10), self.value(DEPTH));
            }
        }
        table
    }

    fn value(&mut self, level: usize) -> Value {
        match self.below(if level < DEPTH { 19 } else { 16 }) {
            0 => Value::Bool(self.one_in(2)),
            1 => Value::I8(self.bits(8) as i8),
            2 => Value::U8(self.bits(8) as u8),
            3 => Value::I16(self.bits(16) as i16),
            4 => Value::U16(self.bits(16) as u16),
            5 => Value::I32(self.bits(32) as i32),
            6 => Value::U32(self.bits(32) as u32),
            7 => Value::I64(self.bits(64) as i64),
            8 => Value::F32(self.finite(|bits| f32::from_bits(bits as u32), f32::is_finite)),
            9 if self.one_in(4) => Value::F64(self.finite(f64::from_bits, f64::is_finite)),
            9 => Value::F64(f64::from(self.bits(32) as u32) / 8.0),
            10 => {
                Value::Decimal(Decimal { scale: self.bits(8) as u8, value: self.bits(32) as i32 })
            }
            11 | 12 => Value::LongStr(self.long_str()),
            13 => Value::Timestamp(self.timestamp()),
            14 => Value::Void,
            15 => Value::Bytes(Bytes::from(self.octets(300))),
            16 | 17 => Value::Table(self.table(level + 1)),
            _ => {
                let len = self.of(&[0, 1, 2, 5]);
                Value::Array((0..len).map(|_| self.value(level + 1)).collect())
            }
        }
    }

    /// Only finite floats can be sent.
    fn finite<T: Copy>(&mut self, of_bits: fn(u64) -> T, is_finite: fn(T) -> bool) -> T {
        loop {
            let float = of_bits(self.next());
            if is_finite(float) {
                return float;
            }
        }
    }
}
