//! What a connection or channel has done so far, in numbers.

use std::time::Duration;

/// What a connection or a channel has done since it was opened: see
/// [`Connection::counters`](crate::Connection::counters) and
/// [`Channel::counters`](crate::Channel::counters).
///
/// They are kept anyway, and reading them takes the connection's lock for a moment. None is ever reset,
/// neither by [`Channel::reopen`](crate::Channel::reopen); those that say *now* go up and down. A
/// connection's are the sums over its channels, also over those that are gone.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Counters {
    /// Messages published: put into the pending output.
    pub published: u64,
    /// Messages that the server has confirmed and not returned.
    pub confirmed: u64,
    /// Messages that the server couldn't take (`basic.nack`).
    pub nacked: u64,
    /// Messages that came back (`basic.return`).
    pub returned: u64,
    /// Messages whose outcome nobody knows: the channel ended, or the confirm is overdue.
    pub unknown: u64,
    /// Messages whose outcome is still to come, *now*.
    pub unconfirmed: u64,
    /// Messages delivered to consumers, or got.
    pub delivered: u64,
    /// Deliveries acknowledged, each one that a `multiple` stands for counted.
    pub acked: u64,
    /// Deliveries refused, or sent back when nobody wanted them any more.
    pub rejected: u64,
    /// Deliveries that are still to be settled, *now*; those that need no acknowledgement aren't. In a
    /// transaction, a rollback takes nothing back of what was settled.
    pub unsettled: u64,
    /// Methods sent for which a reply was awaited.
    pub calls: u64,
    /// Frames sent, but those of the handshake and of the connection's end.
    pub frames_out: u64,
    /// Frames received. Of a connection only: 0 for a channel, as all that follow.
    pub frames_in: u64,
    /// Octets written to the socket, inside of TLS.
    pub octets_out: u64,
    /// Octets read from the socket, inside of TLS.
    pub octets_in: u64,
    /// Channels whose number is in use, *now*.
    pub channels: u64,
    /// How long the server has blocked publishing (`connection.blocked`), by now.
    pub blocked: Duration,
}

impl Counters {
    /// Adds what another channel has done.
    pub(crate) fn add(&mut self, other: &Self) {
        let Self {
            published,
            confirmed,
            nacked,
            returned,
            unknown,
            unconfirmed,
            delivered,
            acked,
            rejected,
            unsettled,
            calls,
            frames_out,
            ..
        } = other;
        self.published += published;
        self.confirmed += confirmed;
        self.nacked += nacked;
        self.returned += returned;
        self.unknown += unknown;
        self.unconfirmed += unconfirmed;
        self.delivered += delivered;
        self.acked += acked;
        self.rejected += rejected;
        self.unsettled += unsettled;
        self.calls += calls;
        self.frames_out += frames_out;
    }
}
