//! Runs the command in a folder of its own.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{env, fs};

/// A base and an overlay that are free of mistakes and of what looks like them.
pub(crate) const BASE: &str = r#"<amqp major="0" minor="9" revision="1" port="5672">
  <constant name="frame-end" value="206"><doc>The last octet.</doc></constant>
  <constant name="not-found" value="404" class="soft-error"><doc>There is none.</doc></constant>
  <domain name="queue-name" type="shortstr" label="Queue"><assert check="length" value="127"/></domain>
  <class name="queue" index="50" handler="channel" label="Queues">
    <field name="type" type="shortstr" label="Type"/>
    <method name="declare" index="10" synchronous="1" label="Declare">
      <chassis name="server" implement="MUST"/>
      <response name="declare-ok"/>
      <field name="reserved-1" type="short" reserved="1"/>
      <field name="queue" domain="queue-name"/>
      <field name="limit" type="long" default="7" label="Limit"/>
    </method>
    <method name="declare-ok" index="11" synchronous="1" label="Declared">
      <chassis name="client" implement="MUST"/>
    </method>
  </class>
</amqp>
"#;

/// Adds `queue.pause`.
pub(crate) const OVERLAY: &str = r#"<amqp>
  <class name="queue" index="50">
    <method name="pause" index="20" content="1" deprecated="1" label="Pause">
      <chassis name="server" implement="MAY"/>
      <chassis name="client" implement="MAY"/>
    </method>
  </class>
</amqp>
"#;

/// A folder for one test, where the command is run; gone with the value.
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// It has `base.xml` and `overlay.xml`. Every test has another name.
    pub(crate) fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{name}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        let folder = Self { path };
        folder.write("base.xml", BASE);
        folder.write("overlay.xml", OVERLAY);
        folder
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path.join(name), text).unwrap();
    }

    /// Zeros up to that length, which take no room on most disks.
    pub(crate) fn grow(&self, name: &str, len: u64) {
        let file = fs::OpenOptions::new().write(true).open(self.path.join(name)).unwrap();
        file.set_len(len).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path.join(name)).unwrap()
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.path.join(name).exists()
    }

    /// Its arguments are the words of the line.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_amqp091-codegen"));
        command.args(line.split_whitespace()).current_dir(&self.path).stdin(Stdio::null());
        // What this terminal is and wants is of no matter.
        command.env_remove("NO_COLOR").env_remove("TERM");
        command
    }

    pub(crate) fn run(&self, line: &str) -> Ran {
        Ran::new(self.command(line).output().unwrap())
    }

    pub(crate) fn run_with_input(&self, line: &str, input: &str) -> Ran {
        let mut command = self.command(line);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Smaller than a pipe: nothing waits for anything.
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        Ran::new(child.wait_with_output().unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// What the command has done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    fn new(output: Output) -> Self {
        Self {
            status: output.status.code().expect("it was not ended by a signal"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// It has written these lines to standard output, and no others anywhere.
    #[track_caller]
    pub(crate) fn wrote(&self, status: i32, lines: &[&str]) {
        assert_eq!(self.err, "");
        assert_eq!(self.out.lines().collect::<Vec<_>>(), lines);
        assert_eq!(self.status, status);
    }

    /// It has written these lines to standard error, and no others anywhere.
    #[track_caller]
    pub(crate) fn complained(&self, status: i32, lines: &[&str]) {
        assert_eq!(self.out, "");
        assert_eq!(self.err.lines().collect::<Vec<_>>(), lines);
        assert_eq!(self.status, status);
    }
}

/// What the operating system says about a file that isn't there.
pub(crate) fn not_found() -> std::io::Error {
    fs::read("there/is/no/such/file").unwrap_err()
}
