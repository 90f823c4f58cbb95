//! A rule's handle, which tells whether what was to happen did.

use std::fmt;
use std::panic::Location;
use std::pin::pin;
use std::sync::Arc;

use crate::core::faults::{RuleId, Tally};
use crate::shared::Shared;

/// A rule as long as it is there: what is to happen, and how often it has.
///
/// A test that provokes a fault which never comes shows nothing, so dropping the handle of a rule that
/// never fired panics and says what it was waiting for, unless the thread is panicking already, or
/// [`optional`](Self::optional) was said. The rule ends with its handle, and lets go of what it holds.
///
/// A test that ends early by `?` drops its rules as well, and their panic is what is shown in the place of its error:
/// where that hides something, `unwrap` shows it.
///
/// ```should_panic
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let broker = amqp091_broker::Broker::start().await?;
/// let rule = broker.on("basic.publish").queue("work").nack();
/// // Nothing is published: "a fault never happened: basic.publish, queue "work": nack it …"
/// # Ok(()) }
/// ```
#[must_use = "a rule ends with its handle"]
pub struct Rule {
    shared: Arc<Shared>,
    id: RuleId,
    tally: Arc<Tally>,
    what: String,
    place: &'static Location<'static>,
    optional: bool,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule").field("what", &self.what).field("hits", &self.hits()).finish()
    }
}

impl fmt::Display for Rule {
    /// What it is for, what it does, where it was made, and what has come of it so far.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seen, matches) = (self.tally.seen(), self.tally.matches());
        write!(f, "{} (made at {}); ", self.what, self.place)?;
        match (seen, matches) {
            (0, _) => f.write_str("nothing of the kind came while the rule was there"),
            (seen, 0) => write!(f, "of {seen} that came none matched"),
            (seen, matches) => {
                write!(f, "of {seen} that came {matches} matched, it fired {} times", self.hits())
            }
        }
    }
}

impl Rule {
    pub(crate) const fn new(
        shared: Arc<Shared>,
        id: RuleId,
        tally: Arc<Tally>,
        what: String,
        place: &'static Location<'static>,
    ) -> Self {
        Self { shared, id, tally, what, place, optional: false }
    }

    /// How often it has fired.
    pub fn hits(&self) -> u64 {
        self.tally.hits()
    }

    /// Returns when it has fired so often, at once if it has already: a test needs no loop for that.
    ///
    /// Cancelling it does nothing. It waits as long as it takes: where that may be for ever, say
    /// `tokio::time::timeout`.
    pub async fn fired(&self, times: u64) {
        loop {
            let mut fired = pin!(self.shared.fired.notified());
            fired.as_mut().enable();
            if self.hits() >= times {
                return;
            }
            fired.await;
        }
    }

    /// Lets go of what it has held back so far: frames, reading, writing. It goes on for what comes.
    pub fn release(&self) {
        self.shared.with(|core, now| {
            core.now = core.now.max(now);
            core.release(self.id);
        });
    }

    /// Fine if it never fires.
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }
}

impl Drop for Rule {
    /// # Panics
    ///
    /// If it never fired, see above.
    fn drop(&mut self) {
        self.shared.with(|core, now| {
            core.now = core.now.max(now);
            core.remove_rule(self.id);
        });
        #[expect(clippy::panic, reason = "that is how a test fails")]
        if self.hits() == 0 && !self.optional && !std::thread::panicking() {
            panic!("a fault never happened: {self}");
        }
    }
}
