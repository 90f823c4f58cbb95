//! A Python process with an independent codec, which answers lines with lines; peer.py is the other end.
//!
//! Every wait has an end: a process that dies or falls silent fails the test.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long an answer may take; it takes less than a millisecond where nothing else runs.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Where the interpreter is named.
const PYTHON: &str = "AMQP091_TEST_PYTHON";

/// The versions of the codecs.
const REQUIREMENTS: &str = include_str!("requirements.txt");

#[derive(Debug)]
pub(crate) struct Peer {
    codec: &'static str,
    child: Child,
    requests: mpsc::Sender<String>,
    answers: mpsc::Receiver<String>,
    /// `pamqp 4.0.1`
    pub(crate) version: String,
}

impl Peer {
    /// Starts the service with that codec, and waits until it has answered.
    pub(crate) fn start(codec: &'static str) -> Self {
        let python = env::var_os(PYTHON).unwrap_or_else(|| {
            panic!(
                "{PYTHON} is not set: it names a Python that has the codecs to compare with. \
                 `scripts/test` sets it; by hand: {PYTHON}=$(scripts/python-peers install)"
            )
        });
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential/peer.py");
        // Nothing of the caller's Python reaches in, and nothing is written beside the script.
        let mut child = Command::new(&python)
            .args(["-B", "-E", "-s", "-X", "utf8", "-W", "ignore::DeprecationWarning"])
            .arg(script)
            .arg(codec)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{PYTHON} ({}): {error}", python.display()));

        // A thread for each direction, so that neither side ever waits for the other to read.
        let mut stdin = child.stdin.take().expect("a pipe");
        let (requests, to_write) = mpsc::channel::<String>();
        thread::spawn(move || {
            for request in to_write {
                // A process that is gone shows on the other pipe.
                if stdin.write_all(request.as_bytes()).and_then(|()| stdin.flush()).is_err() {
                    break;
                }
            }
        });
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let (read, answers) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines() {
                let Ok(line) = line else { break };
                if read.send(line).is_err() {
                    break;
                }
            }
        });

        let mut peer = Self { codec, child, requests, answers, version: String::new() };
        peer.ask("hello");
        peer.version = peer.answer();
        // The listed differences are those of this version.
        let pinned =
            REQUIREMENTS.lines().find_map(|line| line.strip_prefix(codec)?.strip_prefix("=="));
        let pinned = pinned.and_then(|line| line.split(' ').next()).expect("a pinned version");
        assert_eq!(peer.version, format!("{codec} {pinned}"), "of {}", python.display());
        peer
    }

    /// Sends a request.
    pub(crate) fn ask(&self, request: &str) {
        // A process that is gone shows when the answer is due.
        drop(self.requests.send(format!("{request}\n")));
    }

    /// The next line that it answers.
    pub(crate) fn answer(&mut self) -> String {
        match self.answers.recv_timeout(ANSWER_WITHIN) {
            Ok(line) => line,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                panic!("{} did not answer within {ANSWER_WITHIN:?}", self.codec)
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                panic!(
                    "{} ended ({:?}); what it said is on stderr",
                    self.codec,
                    self.child.wait().map(|status| status.to_string())
                )
            }
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
