//! All differences between our codec and the others that are intended, each with its reason: what pamqp.rs and pika.rs
//! apply, and nothing else, before they compare.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Methods that neither codec knows, such as `basic.peek`: what is added to `spec/`. They are left out, and an error if a
/// codec does know them.
pub(crate) const ONLY_OURS: &[&str] = &[];

macro_rules! differences {
    ($($(#[doc = $reason:literal])+ $name:ident)*) => {
        /// An intended difference.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Difference {
            $($(#[doc = $reason])+ $name,)*
        }

        impl Difference {
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            /// What is different, and why.
            pub(crate) fn reason(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($reason,)+).trim_ascii(),)*
                }
            }
        }
    };
}

differences! {
    // What pamqp reads.

    /// The tag U is unknown to pamqp, as it is to RabbitMQ. Some clients write it; we read it as 16 bits, signed.
    PamqpLacksTagU
    /// pamqp reads the tag 0 as nothing. No specification has it, and to us it is unknown.
    PamqpReadsTagNul
    /// Short strings and keys that aren't UTF-8 make the whole frame unreadable for pamqp. Brokers pass them on, so we read them.
    PamqpNeedsUtf8
    /// pamqp takes a timestamp above 2^32 for milliseconds. The protocol says seconds.
    PamqpReadsMilliseconds
    /// Python's times end with the year 9999. Ours are any 64-bit number.
    PamqpTimesEnd
    /// A key that is there twice has the last value in pamqp's dict. Our table keeps both.
    PamqpKeepsLastDuplicate
    /// pamqp reads a longlong as signed; the protocol's is unsigned.
    PamqpSignsLongLong
    /// pamqp can't read a body frame without a body, which it can write. Nobody should send one.
    PamqpRefusesEmptyBody
    /// The property that was cluster-id is '' in pamqp when it isn't there.
    PamqpClusterIdEmpty
    /// pamqp doesn't look at the fifth octet of a protocol header, and writes 0.
    PamqpProtocolId

    // What pamqp writes.

    /// pamqp writes an integer of a table with the smallest tag that holds it. Our values keep their type.
    PamqpSmallestInteger
    /// pamqp writes every float with four octets.
    PamqpFloatsInFour
    /// So it can't write one that is too large for them.
    PamqpFloatTooLarge
    /// pamqp sorts the keys of a table. Ours stay in order.
    PamqpSortsKeys
    /// pamqp cuts keys to 128 octets. The wire has room for 255, and RabbitMQ passes those on.
    PamqpCutsKeys
    /// pamqp doesn't write a long string that isn't UTF-8, though it reads it.
    PamqpWritesTextOnly
    /// pamqp leaves out a property that is an empty string. To us, empty isn't absent.
    PamqpDropsEmptyProperty
    /// pamqp writes a '0' into the reserved argument of channel.open and channel.open-ok, which is empty to us.
    PamqpWritesZeroText
    /// pamqp writes NaN and infinities, at which RabbitMQ closes the connection. We refuse.
    PamqpWritesNotFinite

    // What pamqp's checks say.

    /// pamqp's checks don't like a channel.open without that '0'.
    PamqpWantsZeroText
    /// pamqp counts the characters of a virtual host's name, we count octets.
    PamqpCountsCharacters

    // What pika reads.

    /// pika fails to read connection.update-secret, whose arguments have no defaults in it. It only ever sends it.
    PikaCannotReadUpdateSecret
    /// pika makes integers of floats.
    PikaTruncatesFloats
    /// Python's times end with the year 9999. Ours are any 64-bit number.
    PikaTimesEnd
    /// A key that is there twice has the last value in pika's dict. Our table keeps both.
    PikaKeepsLastDuplicate
    /// A long string in a table that isn't UTF-8 is to pika what a byte array is, and is written as one.
    PikaRetagsOctets
    /// pika replaces a 0 in the version of a protocol header by what 0-9-1 has there.
    PikaReplacesZeroVersion
    /// pika doesn't look at the fifth octet of a protocol header, and writes 0.
    PikaProtocolId

    // What pika writes.

    /// pika writes an integer of a table with 32 bits or with 64.
    PikaIntegersInTwoSizes
    /// The integer that it made of a float may be too large for 64 bits.
    PikaFloatTooLarge
    /// pika writes a decimal without trailing zeros.
    PikaNormalDecimals
}

/// How many frames each difference was met in.
#[derive(Debug, Default)]
pub(crate) struct Counts(BTreeMap<Difference, u64>);

/// The differences met in one frame.
pub(crate) type Notes = BTreeSet<Difference>;

impl Counts {
    pub(crate) fn add(&mut self, notes: &Notes) {
        for note in notes {
            *self.0.entry(*note).or_default() += 1;
        }
    }

    /// Those that were never met: the list above claims too much, or samples are missing.
    pub(crate) fn never_met(&self) -> Vec<Difference> {
        Difference::ALL.iter().copied().filter(|one| !self.0.contains_key(one)).collect()
    }

    /// A line for each.
    pub(crate) fn report(&self) -> String {
        let mut report = String::new();
        for difference in Difference::ALL {
            let count = self.0.get(difference).copied().unwrap_or_default();
            let name = format!("{difference:?}");
            writeln!(report, "  {name:<26} {count:>6}  {}", difference.reason()).expect("memory");
        }
        report
    }
}
