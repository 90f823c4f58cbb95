//! The bounds that this crate holds a peer to, each with the reason for its number.
//!
//! What is not bounded here is bounded by the frame: no length that a peer claims is believed before
//! the octets themselves are there, so a table of a given frame costs memory in proportion to that frame.

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
/// stack (200 KiB in an unoptimised build). The limit holds for writing too: what this crate writes, it can read.
pub const TABLE_DEPTH_MAX: usize = 32;

/// For how many entries a table or an array has room before its first entry is read.
///
/// The room is never more than the octets present could fill, and grows as entries are really read.
pub const TABLE_ENTRIES_AT_FIRST: usize = 4;
