//! Random frames, compared one by one.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Debug;
use std::io::{Write, stderr};
use std::time::{Instant, SystemTime};

use amqp091::protocol::{CLASSES, basic};
use amqp091::types::EncodeError;
use amqp091::types::schema::MethodInfo;

use crate::differences::{Counts, Notes, ONLY_OURS};
use crate::frame::Frame;
use crate::model::{Model, Refused};
use crate::pamqp::Pamqp;
use crate::peer::Peer;
use crate::pika::Pika;
use crate::random::Random;
use crate::seen::{SeenFrame, from_hex, has_infinity, python_name, to_hex};
use crate::tags;

/// Frames that are under way to a codec at a time.
const BATCH: usize = 64;

/// The fewest frames that must have been compared, octet by octet with pamqp and as pika sees them.
const COMPARED_AT_LEAST: u64 = 10_000;

/// After so many mismatches there is no point in more.
const MISMATCHES_AT_MOST: usize = 5;

/// What has been done with one codec.
#[derive(Debug, Default)]
struct Tally {
    /// Frames of ours whose contents it shows as we do.
    seen: u64,
    /// Frames of ours that it makes again, octet by octet.
    rewritten: u64,
    /// Those of them that no difference was applied to.
    identical: u64,
    /// Frames of its own that we show as it does, and make again octet by octet, from octets and from fields.
    theirs: u64,
    /// Frames that its checks and ours agree on.
    checked: u64,
    /// Frames of ours that it doesn't read or write again, for a listed reason.
    refused: u64,
    /// How often each method has been compared octet by octet, ours and its own.
    methods: BTreeMap<&'static str, [u64; 2]>,
}

impl Tally {
    /// Notes that a frame has been compared octet by octet: one of ours (0) or one of its own (1).
    fn compared(&mut self, frame: &Frame, whose: usize) {
        if let Frame::Method(_, method) = frame {
            self.methods.entry(method.name()).or_default()[whose] += 1;
        }
    }

    /// How often the method that has been compared least has been.
    fn least(&self, whose: usize) -> u64 {
        let counts =
            methods().map(|method| self.methods.get(method.name).map_or(0, |of| of[whose]));
        counts.min().unwrap_or_default()
    }
}

#[derive(Debug, Default)]
struct Run {
    seed: u64,
    counts: Counts,
    mismatches: Vec<String>,
}

#[test]
#[ignore = "needs the Python codecs: run scripts/test, or see scripts/python-peers"]
fn frames_are_those_of_pamqp_and_pika() {
    let began = Instant::now();
    let frames = number_in("AMQP091_TEST_FRAMES").unwrap_or(12_000);
    let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_nanos() as u64);
    let seed = number_in("AMQP091_TEST_SEED").unwrap_or(now);
    let mut run = Run { seed, ..Run::default() };
    let (mut pamqp, mut pika) = (Peer::start("pamqp"), Peer::start("pika"));
    // Not captured, so that it is there even if the test hangs or passes.
    say(&format!("differential test: AMQP091_TEST_SEED={seed} AMQP091_TEST_FRAMES={frames}"));

    let (mut with_pamqp, mut with_pika) = (Tally::default(), Tally::default());
    tags::compare(&mut run.counts, &mut pamqp, &mut pika);
    run.ours(frames, (&mut pamqp, &mut with_pamqp), (&mut pika, &mut with_pika));
    run.theirs::<Pamqp>(frames / 2, &mut pamqp, &mut with_pamqp);
    run.theirs::<Pika>(frames / 2, &mut pika, &mut with_pika);

    let octet_by_octet = with_pamqp.rewritten + with_pamqp.theirs;
    let decoded = with_pika.seen + with_pika.theirs;
    say(&format!(
        "{octet_by_octet} frames compared octet by octet with {} ({} ours, {} its own), {decoded} as decoded by {} \
         ({} ours, {} its own; {} octet by octet), in {:.1} s\n\
         with pamqp, each method at least {} times of ours and {} times of its own\n\
         ours as decoded by pamqp: {}; written again without any difference: {} by pamqp, {} by pika; \
         checks compared: {}; refused for a listed reason: {} by pamqp, {} by pika\n\
         frames in which a listed difference was applied:\n{}  unexplained: {}",
        pamqp.version,
        with_pamqp.rewritten,
        with_pamqp.theirs,
        pika.version,
        with_pika.seen,
        with_pika.theirs,
        with_pika.rewritten + with_pika.theirs,
        began.elapsed().as_secs_f64(),
        with_pamqp.least(0),
        with_pamqp.least(1),
        with_pamqp.seen,
        with_pamqp.identical,
        with_pika.identical,
        with_pamqp.checked,
        with_pamqp.refused,
        with_pika.refused,
        run.counts.report(),
        run.mismatches.len(),
    ));
    assert!(run.mismatches.is_empty(), "\n{}", run.mismatches.join("\n\n"));
    if frames >= COMPARED_AT_LEAST {
        let never = run.counts.never_met();
        assert!(never.is_empty(), "listed in differences.rs, but never met: {never:?}");
        assert!(octet_by_octet >= COMPARED_AT_LEAST, "{octet_by_octet} compared with pamqp");
        assert!(decoded >= COMPARED_AT_LEAST, "{decoded} compared with pika");
        let least = [with_pamqp.least(0), with_pamqp.least(1), with_pika.least(1)];
        assert!(
            least.iter().all(|least| *least > 0),
            "a method is left out: {:?}",
            [with_pamqp.methods, with_pika.methods]
        );
    }
}

impl Run {
    /// Frames of ours, read and written again by both codecs.
    fn ours(
        &mut self,
        frames: u64,
        (pamqp, with_pamqp): (&mut Peer, &mut Tally),
        (pika, with_pika): (&mut Peer, &mut Tally),
    ) {
        let mut number = 0;
        while number < frames && !self.enough() {
            let mut batch = Vec::new();
            while batch.len() < BATCH && number < frames {
                let frame = random_frame(self.seed, number);
                let octets = frame.encode().expect("random frames can be encoded");
                if let Err(mismatch) = same("decoded", &Frame::decode(&octets), &Ok(frame.clone()))
                {
                    self.mismatch(&format!("frame {number} of ours"), &octets, None, &mismatch);
                }
                let request = format!("read {}", to_hex(&octets));
                pamqp.ask(&request);
                pika.ask(&request);
                batch.push((number, frame, octets));
                number += 1;
            }
            for (number, frame, octets) in &batch {
                let with_both: [(_, &mut Peer, &mut Tally); 2] = [
                    (compare::<Pamqp> as Compare, &mut *pamqp, &mut *with_pamqp),
                    (compare::<Pika>, &mut *pika, &mut *with_pika),
                ];
                for (compare, peer, tally) in with_both {
                    let mut notes = Notes::new();
                    let answer = peer.answer();
                    match compare(frame, octets, &answer, tally, &mut notes) {
                        Ok(()) => self.counts.add(&notes),
                        Err(mismatch) => self.mismatch(
                            &format!("frame {number} of ours and {}", peer.version),
                            octets,
                            Some(frame),
                            &mismatch,
                        ),
                    }
                }
            }
        }
    }

    /// Frames of another codec, read and written again by us.
    fn theirs<M: Model>(&mut self, frames: u64, peer: &mut Peer, tally: &mut Tally) {
        let methods: Vec<_> = methods().collect();
        let mut number = 0;
        while number < frames && !self.enough() {
            let batch = number..frames.min(number + BATCH as u64);
            for number in batch.clone() {
                peer.ask(&request(&methods, self.seed, number));
            }
            for number in batch.clone() {
                let answer = peer.answer();
                let mut notes = Notes::new();
                match compare_theirs::<M>(&answer, tally, &mut notes) {
                    Ok(()) => self.counts.add(&notes),
                    Err((octets, mismatch)) => self.mismatch(
                        &format!("frame {number} of {}", peer.version),
                        &octets,
                        Frame::decode(&octets).ok().as_ref(),
                        &mismatch,
                    ),
                }
            }
            number = batch.end;
        }
    }

    fn enough(&self) -> bool {
        self.mismatches.len() >= MISMATCHES_AT_MOST
    }

    fn mismatch(&mut self, which: &str, octets: &[u8], frame: Option<&Frame>, mismatch: &str) {
        self.mismatches.push(format!(
            "AMQP091_TEST_SEED={}: {which}: {mismatch}\nframe: {}\nto us: {frame:?}",
            self.seed,
            to_hex(octets),
        ));
    }
}

type Compare = fn(&Frame, &[u8], &str, &mut Tally, &mut Notes) -> Result<(), String>;

/// Compares a frame of ours with what another codec says about it.
fn compare<M: Model>(
    frame: &Frame,
    octets: &[u8],
    answer: &str,
    tally: &mut Tally,
    notes: &mut Notes,
) -> Result<(), String> {
    let answer: Vec<_> = answer.split('\t').collect();
    let (valid, written) = match (M::reads(frame, notes), &answer[..]) {
        (Err(Refused(difference)), ["unread", _]) => {
            tally.refused += 1;
            notes.insert(difference);
            return Ok(());
        }
        (Err(refused), _) => return Err(format!("expected {refused:?}, was read: {answer:?}")),
        (Ok(_), ["unread", why]) => return Err(format!("not read: {why}")),
        (Ok(seen), ["read", theirs, valid, written]) => {
            same("contents", &SeenFrame::parse(theirs), &seen)?;
            (*valid, *written)
        }
        (Ok(_), other) => return Err(format!("answered {other:?}")),
    };
    tally.seen += 1;

    let ours = M::is_valid(frame, None, notes);
    if ours != (valid == "valid") {
        return Err(format!("its checks say {valid:?}, ours {ours}"));
    }
    tally.checked += 1;

    match (M::rewrites(frame, notes), written.strip_prefix("failed: ")) {
        (Ok(expected), None) => {
            same("octets", &written.to_owned(), &to_hex(&expected))?;
            tally.rewritten += 1;
            tally.compared(frame, 0);
            tally.identical += u64::from(expected == octets);
        }
        (Err(Refused(difference)), Some(_)) => {
            tally.refused += 1;
            notes.insert(difference);
        }
        (Err(refused), None) => {
            return Err(format!("expected {refused:?}, was written: {written}"));
        }
        (Ok(_), Some(why)) => return Err(format!("not written: {why}")),
    }
    Ok(())
}

/// Compares a frame of another codec with what we make of it.
fn compare_theirs<M: Model>(
    answer: &str,
    tally: &mut Tally,
    notes: &mut Notes,
) -> Result<(), (Vec<u8>, String)> {
    let ["made", octets, given, valid] = answer.split('\t').collect::<Vec<_>>()[..] else {
        return Err((Vec::new(), format!("answered {answer:?}")));
    };
    let octets = from_hex(octets);
    let compared = (|| {
        let frame = Frame::decode(&octets).map_err(|error| format!("not read by us: {error}"))?;
        let given = SeenFrame::parse(given);
        let ours = M::is_valid(&frame, Some(&given), notes);
        if ours != (valid == "valid") {
            return Err(format!("its checks say {valid:?}, ours {ours}"));
        }
        tally.checked += 1;

        let written = M::writes(given, notes);
        same("contents", &M::plain(&frame), &written)?;
        let built = M::build(&frame, &written);
        if has_infinity(&frame) {
            let refused =
                |frame: &Frame| matches!(frame.encode(), Err(EncodeError::NotFinite { .. }));
            return if refused(&frame) && refused(&built) {
                Ok(())
            } else {
                Err("we write a float that isn't finite".into())
            };
        }
        for (how, frame) in [("octets", &frame), ("octets of what was built", &built)] {
            let ours = frame.encode().map_err(|error| format!("not written by us: {error}"))?;
            same(how, &to_hex(&M::rewritten(frame, ours, notes)), &to_hex(&octets))?;
        }
        tally.theirs += 1;
        tally.compared(&frame, 1);
        Ok(())
    })();
    compared.map_err(|mismatch| (octets, mismatch))
}

fn same<T: PartialEq + Debug>(what: &str, found: &T, expected: &T) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what} differ\n   found: {found:?}\nexpected: {expected:?}"))
}

// --- Which frames -------------------------------------------------------------------------------

/// The methods that the codecs know.
pub(crate) fn methods() -> impl Iterator<Item = &'static MethodInfo> {
    let all = CLASSES.iter().flat_map(|class| class.methods).copied();
    all.filter(|method| !ONLY_OURS.contains(&method.name))
}

/// Two of three frames are methods, one after the other; the others are mostly content headers.
enum Kind {
    Method(u64),
    Header,
    Body,
    Heartbeat,
    Protocol,
}

fn kind(number: u64) -> Kind {
    match (number % 3, number / 3) {
        (0, third) => Kind::Method(2 * third),
        (1, third) => Kind::Method(2 * third + 1),
        (_, third) => match third % 20 {
            0 => Kind::Heartbeat,
            1..3 => Kind::Protocol,
            3..6 => Kind::Body,
            _ => Kind::Header,
        },
    }
}

fn random_of(seed: u64, number: u64) -> Random {
    Random::new(seed.wrapping_add(number.wrapping_mul(0xD134_2543_DE82_EF95)))
}

/// The frame of ours with that number.
fn random_frame(seed: u64, number: u64) -> Frame {
    let mut random = random_of(seed, number);
    match kind(number) {
        Kind::Method(which) => {
            let mut all = methods();
            let count = methods().count() as u64;
            random.method(all.nth((which % count) as usize).expect("one of them").id)
        }
        Kind::Header => random.header(),
        Kind::Body => random.body(),
        Kind::Heartbeat => Frame::Heartbeat,
        Kind::Protocol => random.protocol_header(),
    }
}

/// Asks another codec for the frame of its own with that number.
fn request(methods: &[&MethodInfo], seed: u64, number: u64) -> String {
    let types = |fields: &[amqp091::types::schema::FieldInfo]| {
        let one = |field: &amqp091::types::schema::FieldInfo| {
            if field.reserved { "-" } else { field.wire_type.name() }
        };
        let types: Vec<_> = fields.iter().map(one).collect();
        if types.is_empty() { "none".to_owned() } else { types.join(",") }
    };
    let what = match kind(number) {
        Kind::Method(which) => {
            let method = methods[(which % methods.len() as u64) as usize];
            format!("method {} {}", python_name(method.name), types(method.fields))
        }
        Kind::Header => format!("header {}", types(basic::CLASS.properties)),
        Kind::Body => "body".into(),
        Kind::Heartbeat => "heartbeat".into(),
        Kind::Protocol => "protocol".into(),
    };
    format!("make {what} {}", random_of(seed, number).next())
}

fn number_in(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

/// On stderr, past the capture of a passing test's output.
pub(crate) fn say(text: &str) {
    writeln!(stderr(), "{text}").expect("stderr");
}
