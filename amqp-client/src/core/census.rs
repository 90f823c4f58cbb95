//! What a core holds, counted, for tests of what is left behind.

use super::Core;
use super::confirms::Confirms;

/// Entries in a core's tables. All are zero when every handle of a closed connection is gone.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Census {
    /// Channels, closed ones that a handle keeps included.
    pub(crate) channels: usize,
    /// Channel numbers in use.
    pub(crate) numbers: usize,
    /// Replies that are due.
    pub(crate) due: usize,
    /// Calls that are waited for or whose answer is not fetched.
    pub(crate) calls: usize,
    /// Calls that have a deadline.
    pub(crate) deadlines: usize,
    /// Updates of the secret that are not answered.
    pub(crate) secret_updates: usize,
    /// Consumers that have a handle.
    pub(crate) consumers: usize,
    /// Consumer tags in use.
    pub(crate) subscriptions: usize,
    /// Octets that were delivered and not fetched.
    pub(crate) octets: usize,
    /// Messages whose outcome is waited for or not fetched.
    pub(crate) outcomes: usize,
    /// Messages that are not confirmed, whether somebody waits for that or not.
    pub(crate) unconfirmed: usize,
    /// Channels that are looked at for overdue confirms.
    pub(crate) confirming: usize,
    /// Outcomes of channels' earlier instances that are not fetched.
    pub(crate) former: usize,
    /// Windows and batches that have a handle or outstanding messages.
    pub(crate) tallies: usize,
    /// Returned messages that nobody waits for, and those who would have them.
    pub(crate) unclaimed: usize,
    /// Channels that are looked at for acknowledgements that wait, and such acknowledgements.
    pub(crate) acking: usize,
    /// Bodies that are still to come in part.
    pub(crate) open_bodies: usize,
    /// Publishers that wait for room or leave.
    pub(crate) publishers: usize,
    /// Waits that may take only so long.
    pub(crate) timers: usize,
    /// Events that are kept, and those who read them.
    pub(crate) events: usize,
    /// Those who wait for the connection's end.
    pub(crate) closers: usize,
    /// Octets that wait to be written.
    pub(crate) output: usize,
}

impl Core {
    /// Counts what there is.
    pub(crate) fn census(&mut self) -> Census {
        let mut census = Census {
            numbers: self.numbers().len(),
            calls: self.calls.live(),
            deadlines: self.calls.deadlines(),
            secret_updates: self.secret_updates.len(),
            consumers: self.consumers.live(),
            octets: self.consumers.octets(),
            confirming: self.confirming.len(),
            tallies: self.tallies.live(),
            acking: self.acking.len(),
            publishers: self.publishers.live(),
            timers: self.timers.live(),
            events: self.events.live(),
            closers: self.close_waiters.live(),
            output: self.output.len(),
            ..Census::default()
        };
        for key in self.channels.keys() {
            let Some(channel) = self.channels.get_mut(key) else { continue };
            census.channels += 1;
            census.due += channel.due.len();
            census.subscriptions += channel.subscriptions.len();
            census.former += channel.former.iter().map(Confirms::live).sum::<usize>();
            census.unclaimed += channel.unclaimed.live();
            census.acking += channel.acks.as_ref().map_or(0, |acks| acks.waiting());
            census.open_bodies += usize::from(channel.open_body.is_some());
            if let Some(confirms) = &channel.confirms {
                census.outcomes += confirms.live();
                census.unconfirmed += confirms.unconfirmed();
            }
        }
        census
    }

    /// The channel numbers in use.
    pub(crate) fn numbers(&self) -> Vec<u16> {
        (1..=self.tuned.channel_max)
            .filter(|&number| self.channels.key_of(number).is_some())
            .collect()
    }
}
