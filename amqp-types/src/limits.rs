//! The bounds that this crate holds a peer to, each with the reason for its number.
//!
//! What is not bounded here is bounded by the frame: no length that a peer claims is believed before
//! the octets themselves are there. Nothing is allocated for a table before all of it has been checked, and then exactly
//! what its values take.

/// The most octets that a short string can have: its length is one octet.
///
/// (The specification's label for the type says 256, which the encoding can't express.)
pub const SHORT_STR_MAX: usize = 255;

/// How deep tables and arrays may be nested, the outermost table being level 1.
///
/// A table inside a message's headers comes from whoever published it, and brokers pass thousands of
/// levels through untouched, so a limit is what stands between a publisher and a consumer's stack.
/// What applications nest in earnest is `x-death` (an array of tables: 3 levels) and the like; 32 is ten
/// times that, while the recursion of reading, comparing, printing and dropping stays within 16 KiB of
/// stack (400 KiB in an unoptimised build). The limit holds for writing too: what this crate writes, it can read.
pub const TABLE_DEPTH_MAX: usize = 32;

/// How many values one table may have, those of the tables and arrays in it included.
///
/// The shortest entry is two octets on the wire, an empty key and a tag, and 80 in memory: without a limit, a header
/// of 1 MiB would take 40 MiB. With it, a table takes at most 5 MiB more than its own octets, whatever they say. Who
/// sends headers in earnest sends tens of them, a few send thousands; 65,536 entries of the shortest sort that carries
/// something (a key of a few letters, a number) take half a mebibyte on the wire. The limit holds for writing too.
pub const TABLE_VALUES_MAX: usize = 65_536;

/// For how many entries a table or an array has room before its first entry is read, where their number isn't known.
///
/// So it is when a table comes from serde; on the wire, entries are counted first.
pub const TABLE_ENTRIES_AT_FIRST: usize = 4;
