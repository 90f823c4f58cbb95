//! What holds of tables in both directions: how deep they are, and that an object has no key twice.

use std::fmt;

use crate::limits::TABLE_DEPTH_MAX;
use crate::short_str::ShortStr;

/// A list at this level of nesting, the outermost table being level 1, is neither written nor read: the message of the error.
pub(super) struct TooDeep;

impl TooDeep {
    pub(super) const fn at(level: usize) -> Result<(), Self> {
        if level > TABLE_DEPTH_MAX { Err(Self) } else { Ok(()) }
    }
}

impl fmt::Display for TooDeep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tables are nested deeper than {TABLE_DEPTH_MAX} levels")
    }
}

/// A key that is there twice.
pub(super) fn duplicate<'a>(keys: impl Iterator<Item = &'a ShortStr>) -> Option<&'a ShortStr> {
    let mut keys: Vec<_> = keys.collect();
    keys.sort_unstable();
    keys.windows(2).find_map(|pair| if pair[0] == pair[1] { Some(pair[0]) } else { None })
}
