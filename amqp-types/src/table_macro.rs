//! The macro [`table!`](crate::table): tables as literals.

/// A [`FieldTable`](crate::FieldTable), written as in JSON.
///
/// ```
/// use amqp091_types::{ShortStr, Timestamp, Value, table};
///
/// const TTL: ShortStr = ShortStr::from_static("x-message-ttl");
/// let seconds = 60;
///
/// let arguments = table! {
///     "x-queue-type": "quorum",
///     "x-max-length": 10_000,
///     (TTL): seconds * 1000,
///     "flag": true,
///     "nothing": null,
///     "since": Timestamp(1_700_000_000),
///     "nested": { "list": [1, "two", [3.5], {}] },
/// };
/// assert_eq!(arguments.len(), 7);
/// assert_eq!(arguments.get("x-message-ttl"), Some(&Value::I32(60_000)));
/// assert_eq!(table! {}, amqp091_types::FieldTable::new());
/// ```
///
/// A key is a string literal, or an expression in parentheses that is a [`ShortStr`](crate::ShortStr). A value is `null`
/// ([`Void`](crate::Value::Void)), a table in `{}`, an array in `[]`, or an expression that [`Value`](crate::Value)
/// converts [from](crate::Value#trait-implementations): an integer literal is an `i32`, unless it has a suffix. An expression that
/// begins with a brace or is a bracket needs parentheses around it.
///
/// The entries are as they stand there, a key that stands there twice included. A literal key of more than 255 octets
/// does not compile:
///
/// ```compile_fail,E0080
/// # use amqp091_types::table;
/// let table = table! {
///     "012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\
///      012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\
///      0123456789012345678901234567890123456789012345678901234567890123456789012345": 1
/// };
/// ```
///
/// A literal of more than about a hundred entries takes `#![recursion_limit = "256"]`, or a few calls of
/// [`FieldTable::push`](crate::FieldTable::push).
#[macro_export]
macro_rules! table {
    ($($entries:tt)*) => {
        $crate::__table!([] $($entries)*,)
    };
}

/// The entries of a table one by one, those that are done in front; there is always a comma behind the last.
#[doc(hidden)]
#[macro_export]
macro_rules! __table {
    ([]) => {
        $crate::FieldTable::new()
    };
    ([$($done:tt)+]) => {
        $crate::FieldTable::from(::std::vec![$($done)+])
    };
    // The comma behind all, if the last entry brought its own or there is none.
    ([$($done:tt)*] ,) => {
        $crate::__table!([$($done)*])
    };
    ([$($done:tt)*] $key:tt : null, $($rest:tt)*) => {
        $crate::__table!([$($done)* ($crate::__table_key!($key), $crate::Value::Void),] $($rest)*)
    };
    ([$($done:tt)*] $key:tt : { $($entries:tt)* }, $($rest:tt)*) => {
        $crate::__table!(
            [$($done)* (
                $crate::__table_key!($key),
                $crate::Value::Table($crate::__table!([] $($entries)*,)),
            ),]
            $($rest)*
        )
    };
    ([$($done:tt)*] $key:tt : [ $($values:tt)* ], $($rest:tt)*) => {
        $crate::__table!(
            [$($done)* (
                $crate::__table_key!($key),
                $crate::Value::Array($crate::__table_array!([] $($values)*,)),
            ),]
            $($rest)*
        )
    };
    ([$($done:tt)*] $key:tt : $value:expr, $($rest:tt)*) => {
        $crate::__table!(
            [$($done)* ($crate::__table_key!($key), $crate::Value::from($value)),]
            $($rest)*
        )
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __table_array {
    ([$($done:tt)*]) => {
        ::std::vec![$($done)*]
    };
    ([$($done:tt)*] ,) => {
        ::std::vec![$($done)*]
    };
    ([$($done:tt)*] null, $($rest:tt)*) => {
        $crate::__table_array!([$($done)* $crate::Value::Void,] $($rest)*)
    };
    ([$($done:tt)*] { $($entries:tt)* }, $($rest:tt)*) => {
        $crate::__table_array!(
            [$($done)* $crate::Value::Table($crate::__table!([] $($entries)*,)),]
            $($rest)*
        )
    };
    ([$($done:tt)*] [ $($values:tt)* ], $($rest:tt)*) => {
        $crate::__table_array!(
            [$($done)* $crate::Value::Array($crate::__table_array!([] $($values)*,)),]
            $($rest)*
        )
    };
    ([$($done:tt)*] $value:expr, $($rest:tt)*) => {
        $crate::__table_array!([$($done)* $crate::Value::from($value),] $($rest)*)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __table_key {
    (($key:expr)) => {
        $key
    };
    ($key:literal) => {
        const { $crate::ShortStr::from_static($key) }
    };
}
