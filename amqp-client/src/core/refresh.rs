//! Credentials that expire: when new ones are asked for, sent, and given up.

use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use amqp091::protocol::connection;
use amqp091::types::{LongStr, ShortStr};

use super::{CallId, Core, Phase};
use crate::credentials::Credentials;
use crate::events::ConnectionEvent;
use crate::options::LONGEST;

/// The time between two tries to have new credentials: a quarter of what is left, but within these.
const RETRY_LEAST: Duration = Duration::from_secs(1);
const RETRY_MOST: Duration = Duration::from_secs(60);

/// The clock of credentials.
#[derive(Debug, Default)]
pub(crate) struct Refresh {
    state: State,
    /// When those that the server has run out.
    expires: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// They don't expire, or that is the server's affair by now.
    #[default]
    Off,
    /// New ones are asked for then.
    Waiting { at: Instant },
    /// The provider is asked.
    Asking { until: Instant },
    /// `connection.update-secret` is sent.
    Updating { call: CallId, received: Instant, validity: Option<Duration> },
}

impl Core {
    /// The credentials that the server has, or is to get, are good for this long from now.
    pub(crate) fn credentials_expire(&mut self, validity: Option<Duration>, now: Instant) {
        let validity = validity.map(|validity| validity.min(LONGEST));
        self.refresh = match validity {
            None => Refresh::default(),
            Some(validity) => {
                let at = now + (validity / 5 * 4).max(RETRY_LEAST);
                Refresh { state: State::Waiting { at }, expires: Some(now + validity) }
            }
        };
    }

    /// Whether the provider is to be asked, and its answer waited for.
    pub(crate) fn wants_credentials(&self) -> bool {
        matches!((&self.phase, self.refresh.state), (Phase::Open, State::Asking { .. }))
    }

    pub(super) fn refresh_deadline(&self) -> Option<Instant> {
        match self.refresh.state {
            _ if !matches!(self.phase, Phase::Open) => None,
            State::Waiting { at } => Some(at),
            State::Asking { until } => Some(until),
            // The call has a deadline of its own.
            State::Updating { .. } | State::Off => None,
        }
    }

    pub(super) fn refresh_timeout(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Open) {
            return;
        }
        match self.refresh.state {
            State::Waiting { at } if at <= now => {
                let until = now + self.options.rpc_timeout.max(RETRY_LEAST);
                self.refresh.state = State::Asking { until };
                self.attention = true;
            }
            State::Asking { until } if until <= now => {
                self.refresh_failed("the provider takes too long".to_owned(), now);
            }
            State::Updating { .. } => self.check_update(now),
            _ => {}
        }
    }

    /// The provider's answer: it is sent to the server.
    pub(crate) fn credentials_came(&mut self, answer: Result<Credentials, String>, now: Instant) {
        if !self.wants_credentials() {
            return;
        }
        let sent = answer.and_then(|credentials| {
            let request = connection::UpdateSecret {
                new_secret: LongStr::from(credentials.password()),
                reason: ShortStr::from_static("the last one expires"),
            };
            let call = self.update_secret(&request, now).map_err(|error| error.to_string())?;
            Ok((call, credentials.validity()))
        });
        match sent {
            Ok((call, validity)) => {
                self.refresh.state = State::Updating { call, received: now, validity };
            }
            Err(problem) => self.refresh_failed(problem, now),
        }
    }

    /// Looks whether the server has taken the new credentials.
    pub(super) fn check_update(&mut self, now: Instant) {
        let State::Updating { call, received, validity } = self.refresh.state else { return };
        match self.calls.poll(call, &Context::from_waker(Waker::noop())) {
            Poll::Pending => {}
            Poll::Ready(Ok(_)) => {
                self.credentials_expire(validity, received);
                self.tell(ConnectionEvent::CredentialsRefreshed);
            }
            Poll::Ready(Err(error)) => self.refresh_failed(error.to_string(), now),
        }
    }

    fn refresh_failed(&mut self, problem: String, now: Instant) {
        let left = self.refresh.expires.map(|end| end.saturating_duration_since(now));
        let left = left.unwrap_or_default();
        let pause = (left / 4).clamp(RETRY_LEAST, RETRY_MOST);
        let retry_in = (pause < left).then_some(pause);
        self.refresh.state = match retry_in {
            Some(pause) => State::Waiting { at: now + pause },
            None => State::Off,
        };
        self.tell(ConnectionEvent::CredentialsNotRefreshed { problem: problem.into(), retry_in });
    }
}
