//! Whether all that clients have said has been carried out, and its outcome written.
//!
//! Whoever wants to know asks: each client's task looks at its socket once more and reports, and if nothing
//! has happened between the question and the last report, all is settled.

use std::time::Duration;

use super::Core;
use super::connection::ConnectionKey;
use crate::inspect::ConnectionInfo;
use crate::unsettled::Unsettled;

/// What was asked and what has happened.
#[derive(Debug, Default)]
pub(super) struct Settling {
    /// The last question.
    asked: u64,
    /// Everything that changes anything.
    pub(super) activity: u64,
    /// What each listener has reported last.
    listeners: Vec<u64>,
    /// Whether somebody has reported.
    has_report: bool,
}

/// A question, and what had happened by then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    number: u64,
    activity: u64,
}

/// How far the answer is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    Settled,
    /// Something has happened since: ask again.
    Changed,
    Waiting,
}

impl Core {
    /// Has all clients' tasks look and report.
    pub(crate) fn ask_settled(&mut self) -> Question {
        self.settling.asked += 1;
        let question = Question { number: self.settling.asked, activity: self.settling.activity };
        let keys: Vec<_> = self.connections.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.stir(key);
        }
        // That nothing was stirred is no news.
        self.settling.activity = question.activity;
        question
    }

    /// The number of the last question.
    pub(crate) fn question(&self) -> u64 {
        self.settling.asked
    }

    pub(crate) fn answer(&self, question: Question) -> Answer {
        if self.settling.activity != question.activity || !self.dead.is_empty() {
            return Answer::Changed;
        }
        let by_clients =
            self.connections.iter().all(|(_, found)| found.reported >= question.number);
        let by_listeners = self.settling.listeners.iter().all(|told| *told >= question.number);
        if by_clients && by_listeners { Answer::Settled } else { Answer::Waiting }
    }

    /// Whether a client's task has yet to report.
    pub(super) fn owes_report(&self, reported: u64) -> bool {
        reported < self.settling.asked
    }

    /// A client's task has found nothing more to do since the question of this number was asked. If
    /// there is something since, it is being woken, and reports when that is done.
    pub(crate) fn report(&mut self, key: ConnectionKey, question: u64) {
        if let Some(connection) = self.connections.get_mut(key)
            && !connection.stirred
            && !connection.has_output()
        {
            connection.reported = question;
        }
        self.settling.has_report = true;
    }

    /// A client's task has nothing more to do, but its client has yet to read.
    pub(crate) fn report_unread(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.unread = true;
        }
    }

    /// Who hasn't reported yet.
    pub(crate) fn unsettled(&self, waited: Duration) -> Unsettled {
        let asked = self.settling.asked;
        let mut late: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.reported < asked)
            .filter_map(|(key, connection)| Some((self.connection_info(key)?, connection.unread)))
            .collect();
        late.sort_by_key(|(info, _)| info.number);
        let (unread, busy): (Vec<_>, Vec<_>) = late.into_iter().partition(|(_, unread)| *unread);
        let infos = |list: Vec<(ConnectionInfo, bool)>| list.into_iter().map(|(info, _)| info);
        Unsettled { waited, unread: infos(unread).collect(), busy: infos(busy).collect() }
    }

    /// One more listener, which will report.
    pub(crate) fn add_listener(&mut self) -> usize {
        self.settling.listeners.push(0);
        self.settling.listeners.len() - 1
    }

    /// A listener has let in all who were waiting.
    pub(crate) fn report_listener(&mut self, index: usize, question: u64) {
        if let Some(told) = self.settling.listeners.get_mut(index) {
            *told = question;
        }
        self.settling.has_report = true;
    }

    /// Something has changed.
    pub(super) fn note_activity(&mut self) {
        self.settling.activity += 1;
        self.settling.has_report = true;
    }

    /// Whether somebody who asked should look.
    pub(crate) fn take_report(&mut self) -> bool {
        std::mem::take(&mut self.settling.has_report) && self.settling.asked > 0
    }
}
