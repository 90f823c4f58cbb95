//! The two small wire types that Rust has no type for: timestamps of whole seconds, and decimals.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time as the protocol has it: whole **seconds** since 1970-01-01 00:00 UTC.
///
/// Some publishers put milliseconds there; nothing on the wire says so.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use amqp091_types::Timestamp;
///
/// let stamp = Timestamp::from(UNIX_EPOCH + Duration::from_millis(1_500));
/// assert_eq!(stamp, Timestamp(1));
/// assert_eq!(stamp.to_system_time(), Some(UNIX_EPOCH + Duration::from_secs(1)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(
    /// Seconds since the Unix epoch.
    pub u64,
);

impl Timestamp {
    /// The time on this computer's clock, without its fraction of a second.
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// The same moment as a [`SystemTime`], or `None` where the platform's clock can't express it.
    pub fn to_system_time(self) -> Option<SystemTime> {
        UNIX_EPOCH.checked_add(Duration::from_secs(self.0))
    }
}

impl From<SystemTime> for Timestamp {
    /// Cuts the fraction of a second off; times before 1970 become 0.
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }
}

impl From<u64> for Timestamp {
    fn from(seconds: u64) -> Self {
        Self(seconds)
    }
}

impl From<Timestamp> for u64 {
    fn from(stamp: Timestamp) -> Self {
        stamp.0
    }
}

impl fmt::Display for Timestamp {
    /// The seconds, as a number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A decimal number: `value` divided by ten to the power of `scale`.
///
/// Two decimals are equal if both parts are: 1.5 is not 1.50.
/// The standard can't decide whether `value` is signed; its errata say yes, and the octets are the same.
///
/// ```
/// use amqp091_types::Decimal;
///
/// assert_eq!(Decimal { scale: 2, value: -1_234 }.to_string(), "-12.34");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// How many of the digits stand behind the decimal point.
    pub scale: u8,
    /// All digits, as one number.
    pub value: i32,
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = usize::from(self.scale);
        // One digit at least stands before the point.
        let digits = format!("{:0width$}", self.value.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let number =
            if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") };
        f.pad_integral(self.value >= 0, "", &number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_the_epoch_are_the_epoch() {
        let before = UNIX_EPOCH - Duration::from_secs(5);
        assert_eq!(Timestamp::from(before), Timestamp(0));
        assert!(Timestamp::now() > Timestamp(1_700_000_000));
    }

    #[test]
    fn a_time_no_clock_can_hold_is_none() {
        assert_eq!(Timestamp(u64::MAX).to_system_time(), None);
        assert_eq!(Timestamp(0).to_system_time(), Some(UNIX_EPOCH));
    }

    #[test]
    fn decimals_print_their_point() {
        let text = |scale, value| Decimal { scale, value }.to_string();
        assert_eq!(text(0, 42), "42");
        assert_eq!(text(0, i32::MIN), "-2147483648");
        assert_eq!(text(1, 5), "0.5");
        assert_eq!(text(4, -12), "-0.0012");
        assert_eq!(text(2, 100), "1.00");
        assert_eq!(text(0, 0), "0");
        assert_eq!(text(255, 1), format!("0.{}1", "0".repeat(254)));
        assert_eq!(format!("{:>6}", Decimal { scale: 1, value: -15 }), "  -1.5");
    }
}
