//! The outcome of a published message, without async.

use std::future::{Future, IntoFuture};

use super::wait::wait;
use crate::publish::PublishError;

/// The outcome of one published message, still to come: [`wait`](super::Wait::wait) for it, or for
/// [`confirmed`](Self::confirmed). It always comes, as in the async face: see
/// [`Confirm`](crate::Confirm).
#[derive(Debug)]
#[must_use = "without looking at the outcome a lost message goes unnoticed"]
pub struct Confirm(crate::Confirm);

impl Confirm {
    /// The message's number on its channel, counted from 1: the delivery tag of its confirm.
    pub fn delivery_tag(&self) -> u64 {
        self.0.delivery_tag()
    }

    /// Waits for the outcome, where anything but [`Outcome::Confirmed`](crate::Outcome::Confirmed) is an
    /// error.
    ///
    /// # Errors
    ///
    /// [`PublishError`] says what became of the message instead.
    pub fn confirmed(self) -> Result<(), PublishError> {
        wait(self.0.confirmed())
    }
}

impl From<crate::Confirm> for Confirm {
    fn from(confirm: crate::Confirm) -> Self {
        Self(confirm)
    }
}

/// As a future, for async code.
impl From<Confirm> for crate::Confirm {
    fn from(confirm: Confirm) -> Self {
        confirm.0
    }
}

/// So that it can be awaited too.
impl IntoFuture for Confirm {
    type Output = <crate::Confirm as Future>::Output;
    type IntoFuture = crate::Confirm;

    fn into_future(self) -> crate::Confirm {
        self.0
    }
}
