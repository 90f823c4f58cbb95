//! Random samples of everything that fields hold, and the checks that the generated tests make on methods and properties.
//!
//! Shared by the tests of this package and those of the generator, whose protocol is another one: both have theirs as
//! `crate::generated`.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::fmt::Debug;
use std::thread;

use amqp091_types::{
    ContentProperties, Decimal, Decode, Encode, FieldTable, LongStr, Method, MethodError, MethodId,
    Reader, SentBy, ShortStr, Timestamp, Value, Writer,
};
use bytes::{Bytes, BytesMut};

use crate::generated::{AnyMethod, ReplyCode, ToClient, ToServer, method_name};

/// How many samples of each type are tried.
const SAMPLES: u64 = 200;

/// Tables in samples are nested at most this deep.
const DEPTH: u32 = 3;

/// The same numbers for the same seed, on every machine: xorshift64*.
#[derive(Debug)]
pub(crate) struct Random {
    seed: u64,
    state: u64,
    depth: u32,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            // Never 0, and near seeds begin far from each other.
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            depth: 0,
        }
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Mostly small, rarely the largest.
    fn len(&mut self, largest: u64) -> usize {
        let len = match self.below(50) {
            0 => largest,
            1..=10 => 0,
            _ => self.below(12),
        };
        usize::try_from(len.min(largest)).unwrap()
    }

    fn octets(&mut self, largest: u64) -> Vec<u8> {
        let len = self.len(largest);
        (0..len).map(|_| u8::sample(self)).collect()
    }
}

impl Drop for Random {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("failed with the sample of seed {}", self.seed);
        }
    }
}

/// Has random values, the borders among them.
pub(crate) trait Sample {
    fn sample(random: &mut Random) -> Self;
}

macro_rules! sample_numbers {
    ($($number:ty),*) => {$(
        impl Sample for $number {
            fn sample(random: &mut Random) -> Self {
                match random.below(8) {
                    0 => Self::MIN,
                    1 => Self::MAX,
                    // The upper bits of the generator are its best ones.
                    _ => Self::from_be_bytes(*random.next().to_be_bytes().first_chunk().unwrap()),
                }
            }
        }
    )*};
}

sample_numbers!(u8, u16, u32, u64, i8, i16, i32, i64);

impl Sample for bool {
    fn sample(random: &mut Random) -> Self {
        random.below(2) == 1
    }
}

impl Sample for ShortStr {
    fn sample(random: &mut Random) -> Self {
        Self::try_from(random.octets(255)).unwrap()
    }
}

impl Sample for LongStr {
    fn sample(random: &mut Random) -> Self {
        Self::from(random.octets(300))
    }
}

impl Sample for Timestamp {
    fn sample(random: &mut Random) -> Self {
        Self(Sample::sample(random))
    }
}

impl Sample for ReplyCode {
    fn sample(random: &mut Random) -> Self {
        Self(Sample::sample(random))
    }
}

impl<T: Sample> Sample for Option<T> {
    fn sample(random: &mut Random) -> Self {
        bool::sample(random).then(|| T::sample(random))
    }
}

impl Sample for FieldTable {
    fn sample(random: &mut Random) -> Self {
        random.depth += 1;
        let mut table = Self::new();
        for _ in 0..random.below(4) {
            let mut key = ShortStr::sample(random);
            if let Some((first, _)) = table.iter().next()
                && random.below(8) == 0
            {
                // Keys may be there twice.
                key = first.clone();
            }
            table.push(key, Value::sample(random));
        }
        random.depth -= 1;
        table
    }
}

impl Sample for Value {
    fn sample(random: &mut Random) -> Self {
        // The last kinds nest.
        let kinds = if random.depth < DEPTH { 17 } else { 15 };
        match random.below(kinds) {
            0 => Self::Bool(Sample::sample(random)),
            1 => Self::I8(Sample::sample(random)),
            2 => Self::U8(Sample::sample(random)),
            3 => Self::I16(Sample::sample(random)),
            4 => Self::U16(Sample::sample(random)),
            5 => Self::I32(Sample::sample(random)),
            6 => Self::U32(Sample::sample(random)),
            7 => Self::I64(Sample::sample(random)),
            // Only finite numbers may be sent.
            8 => Self::F32(f32::from(i16::sample(random)) / 8.0),
            9 => Self::F64(f64::from(i32::sample(random)) / 8.0),
            10 => Self::Decimal(Decimal {
                scale: Sample::sample(random),
                value: Sample::sample(random),
            }),
            11 => Self::LongStr(Sample::sample(random)),
            12 => Self::Timestamp(Sample::sample(random)),
            13 => Self::Void,
            14 => Self::Bytes(Bytes::from(random.octets(300))),
            15 => {
                random.depth += 1;
                let len = random.below(4);
                let array = (0..len).map(|_| Self::sample(random)).collect();
                random.depth -= 1;
                Self::Array(array)
            }
            _ => Self::Table(Sample::sample(random)),
        }
    }
}

/// Samples of a method are the same after a trip over the wire, as themselves and as any method.
pub(crate) fn round_trip_method<T>(to_any: fn(T) -> AnyMethod)
where
    T: Method + Sample + Into<AnyMethod> + TryFrom<AnyMethod, Error = AnyMethod>,
{
    assert_eq!(method_name(T::ID), Some(T::NAME));
    for seed in 1..=SAMPLES {
        let mut random = Random::new(seed);
        let method = T::sample(&mut random);
        let octets = encoded(&method);
        survives(&method, &octets);

        let any = to_any(method.clone());
        assert_eq!(any.id(), T::ID);
        assert_eq!(any.name(), T::NAME);
        assert_eq!(any.has_content(), T::HAS_CONTENT);
        assert_eq!(encoded(&any), octets);
        assert_eq!(AnyMethod::decode(T::ID, &mut Reader::new(&octets)).as_ref(), Ok(&any));
        only_in_its_direction::<T>(&octets, &any);
        let too_long = [&octets[..], &[0]].concat();
        assert!(matches!(
            AnyMethod::decode(T::ID, &mut Reader::new(&too_long)),
            Err(MethodError::Arguments { id, .. }) if id == T::ID
        ));
        assert_eq!(T::try_from(any), Ok(method));
    }
}

/// Samples of content properties are the same after a trip over the wire.
pub(crate) fn round_trip_properties<T>()
where
    T: ContentProperties + Sample + Clone + Debug + PartialEq,
{
    for seed in 1..=SAMPLES {
        let mut random = Random::new(seed);
        let properties = T::sample(&mut random);
        let octets = encoded(&properties);
        // The two lowest bits announce what no specification has here.
        let flags = octets.get(..2).expect("flags");
        assert_eq!(flags[1] & 1, 0, "no second word of flags is announced");
        survives(&properties, &octets);
    }
    assert_eq!(encoded(&T::default()), [0, 0]);
}

/// What is written, whose length was foretold.
fn encoded(value: &impl Encode) -> Vec<u8> {
    let mut octets = BytesMut::new();
    value.encode(&mut Writer::new(&mut octets)).expect("samples can be encoded");
    assert_eq!(octets.len(), value.encoded_len(), "encoded_len is exact");
    octets.to_vec()
}

/// The whole gives the same value, less is an error, more is left over.
fn survives<T: Decode + Debug + PartialEq>(value: &T, octets: &[u8]) {
    let mut input = Reader::new(octets);
    assert_eq!(T::decode(&mut input).as_ref(), Ok(value));
    assert_eq!(input.finish(), Ok(()), "all octets are read");
    for len in 0..octets.len() {
        let cut = octets.get(..len).unwrap_or_default();
        assert!(T::decode(&mut Reader::new(cut)).is_err(), "cut off after {len} octets");
    }
    let too_long = [octets, &[0]].concat();
    let mut input = Reader::new(&too_long);
    assert_eq!(T::decode(&mut input).as_ref(), Ok(value));
    assert!(input.finish().is_err(), "an octet too many is noticed");
}

/// The enum of each direction reads the method if it may come that way, and refuses it otherwise.
fn only_in_its_direction<T: Method>(octets: &[u8], any: &AnyMethod) {
    let (client, server) = match T::SENT_BY {
        SentBy::Client => (false, true),
        SentBy::Server => (true, false),
        SentBy::Both => (true, true),
    };
    let to_client = ToClient::decode(T::ID, &mut Reader::new(octets));
    let to_server = ToServer::decode(T::ID, &mut Reader::new(octets));
    expected_if(client, T::ID, to_client.map(AnyMethod::from), any);
    expected_if(server, T::ID, to_server.map(AnyMethod::from), any);
}

fn expected_if(
    expected: bool,
    id: MethodId,
    decoded: Result<AnyMethod, MethodError>,
    any: &AnyMethod,
) {
    if expected {
        assert_eq!(decoded.as_ref(), Ok(any));
    } else {
        assert_eq!(decoded, Err(MethodError::NotExpected { id }));
    }
}
