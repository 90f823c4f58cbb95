//! The field table: an ordered list of keys and values with the look-ups of a map.

use std::fmt;
use std::iter::FusedIterator;
use std::{slice, vec};

use crate::error::{DecodeError, EncodeError, TooLong};
use crate::reader::Reader;
use crate::short_str::ShortStr;
use crate::value::Value;
use crate::write_table;
use crate::writer::Writer;

/// A table of keys and values: message headers, and the arguments of declarations.
///
/// It is a list and not a map, because on the wire it is one: brokers keep the order and pass keys that occur twice.
/// Equal tables have the same entries in the same order. Look-ups by key go through the list from the front and take the
/// first match, which is what most peers do.
///
/// ```
/// use amqp091_types::{FieldTable, Value};
///
/// let mut arguments = FieldTable::new();
/// arguments.try_insert("x-queue-type", "quorum")?;
/// arguments.try_insert("x-max-length", 10_000)?;
///
/// assert_eq!(arguments.get("x-queue-type").and_then(Value::as_str), Some("quorum"));
/// assert_eq!(arguments.get("x-max-length").and_then(Value::as_i64), Some(10_000));
/// assert_eq!(arguments.get("x-expires"), None);
/// # Ok::<(), amqp091_types::TooLong>(())
/// ```
///
/// Keys that are known at compile time need no error handling:
///
/// ```
/// use amqp091_types::{FieldTable, ShortStr};
///
/// let capabilities = FieldTable::new()
///     .with(ShortStr::from_static("publisher_confirms"), true)
///     .with(ShortStr::from_static("basic.nack"), true);
/// assert_eq!(capabilities.len(), 2);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FieldTable {
    entries: Vec<(ShortStr, Value)>,
}

impl FieldTable {
    /// A table without entries, which allocates nothing.
    #[inline]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// A table without entries that has room for `capacity` of them.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { entries: Vec::with_capacity(capacity) }
    }

    /// Adds an entry at the end, whether or not the key is there already.
    pub fn push(&mut self, key: ShortStr, value: impl Into<Value>) {
        self.entries.push((key, value.into()));
    }

    /// Gives `key` this value and returns the one it had: in the first entry that has the key, else in a new one at the end.
    pub fn insert(&mut self, key: ShortStr, value: impl Into<Value>) -> Option<Value> {
        let value = value.into();
        if let Some(old) = self.get_mut(&key) {
            return Some(std::mem::replace(old, value));
        }
        self.entries.push((key, value));
        None
    }

    /// [`insert`](Self::insert) with a key that has yet to become a short string.
    ///
    /// # Errors
    ///
    /// If the key has more than 255 octets; the table is unchanged then.
    pub fn try_insert(
        &mut self,
        key: impl AsRef<[u8]>,
        value: impl Into<Value>,
    ) -> Result<Option<Value>, TooLong> {
        Ok(self.insert(ShortStr::new(key)?, value))
    }

    /// The table with `key` [inserted](Self::insert).
    #[must_use]
    pub fn with(mut self, key: ShortStr, value: impl Into<Value>) -> Self {
        self.insert(key, value);
        self
    }

    /// Removes the first entry that has the key, and returns its value. The others keep their order.
    pub fn remove(&mut self, key: impl AsRef<[u8]>) -> Option<Value> {
        let at = self.position(key.as_ref())?;
        Some(self.entries.remove(at).1)
    }

    /// Removes all entries.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// The value of the first entry that has the key.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<&Value> {
        self.get_all(key.as_ref()).next()
    }

    /// The value of the first entry that has the key, to be changed.
    pub fn get_mut(&mut self, key: impl AsRef<[u8]>) -> Option<&mut Value> {
        let at = self.position(key.as_ref())?;
        self.entries.get_mut(at).map(|(_, value)| value)
    }

    /// The values of all entries that have the key.
    ///
    /// ```
    /// use amqp091_types::{FieldTable, ShortStr, Value};
    ///
    /// let mut table = FieldTable::new();
    /// table.push(ShortStr::from_static("k"), 1);
    /// table.push(ShortStr::from_static("k"), 2);
    /// assert!(table.get_all("k").eq(&[Value::I32(1), Value::I32(2)]));
    /// ```
    pub fn get_all<K: AsRef<[u8]>>(&self, key: K) -> impl Iterator<Item = &Value> + use<'_, K> {
        self.iter()
            .filter(move |(candidate, _)| candidate.as_bytes() == key.as_ref())
            .map(|(_, value)| value)
    }

    /// Whether an entry has the key.
    pub fn contains_key(&self, key: impl AsRef<[u8]>) -> bool {
        self.position(key.as_ref()).is_some()
    }

    /// How many entries there are, equal keys counted each.
    #[inline]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no entries.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries in their order.
    #[inline]
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.entries.iter())
    }

    /// How many octets [`encode_entries`](Self::encode_entries) writes, exactly.
    pub fn entries_len(&self) -> usize {
        write_table::entries_len(self)
    }

    /// Writes the entries without a length in front, which is what the response of the SASL mechanism AMQPLAIN is.
    ///
    /// ```
    /// use amqp091_types::{FieldTable, ShortStr, Writer};
    /// use bytes::BytesMut;
    ///
    /// let login = FieldTable::new().with(ShortStr::from_static("LOGIN"), "guest");
    /// let mut octets = BytesMut::new();
    /// login.encode_entries(&mut Writer::new(&mut octets))?;
    /// assert_eq!(octets, &b"\x05LOGINS\x00\x00\x00\x05guest"[..]);
    /// # Ok::<(), amqp091_types::EncodeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Writer::table`].
    pub fn encode_entries(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        write_table::entries(out, self, "table")
    }

    /// Reads entries that have no length in front: all that is left of `input`.
    ///
    /// ```
    /// use amqp091_types::{FieldTable, Reader};
    ///
    /// let login = FieldTable::decode_entries(&mut Reader::new(b"\x05LOGINS\x00\x00\x00\x05guest"))?;
    /// assert_eq!(login.get("LOGIN").and_then(|value| value.as_str()), Some("guest"));
    /// # Ok::<(), amqp091_types::DecodeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Reader::table`].
    pub fn decode_entries(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.entries("table")
    }

    fn position(&self, key: &[u8]) -> Option<usize> {
        self.entries.iter().position(|(candidate, _)| candidate.as_bytes() == key)
    }
}

impl fmt::Debug for FieldTable {
    /// As a map, in the order of the entries.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl From<Vec<(ShortStr, Value)>> for FieldTable {
    fn from(entries: Vec<(ShortStr, Value)>) -> Self {
        Self { entries }
    }
}

/// Every pair becomes an entry, equal keys included.
impl FromIterator<(ShortStr, Value)> for FieldTable {
    fn from_iter<I: IntoIterator<Item = (ShortStr, Value)>>(entries: I) -> Self {
        Self { entries: entries.into_iter().collect() }
    }
}

/// Every pair becomes an entry, equal keys included.
impl Extend<(ShortStr, Value)> for FieldTable {
    fn extend<I: IntoIterator<Item = (ShortStr, Value)>>(&mut self, entries: I) {
        self.entries.extend(entries);
    }
}

impl<'a> IntoIterator for &'a FieldTable {
    type Item = (&'a ShortStr, &'a Value);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl IntoIterator for FieldTable {
    type Item = (ShortStr, Value);
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        IntoIter(self.entries.into_iter())
    }
}

/// The entries of a [`FieldTable`], borrowed, in their order.
#[derive(Clone, Debug)]
pub struct Iter<'a>(slice::Iter<'a, (ShortStr, Value)>);

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a ShortStr, &'a Value);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(key, value)| (key, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|(key, value)| (key, value))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl FusedIterator for Iter<'_> {}

/// The entries of a [`FieldTable`], owned, in their order.
#[derive(Clone, Debug)]
pub struct IntoIter(vec::IntoIter<(ShortStr, Value)>);

impl Iterator for IntoIter {
    type Item = (ShortStr, Value);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl DoubleEndedIterator for IntoIter {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back()
    }
}

impl ExactSizeIterator for IntoIter {}

impl FusedIterator for IntoIter {}
