//! What rules do to a connection's octets: a lane between what the broker says and what is written.

use std::collections::HashMap;
use std::time::Duration;

use amqp091::encode;
use amqp091::frame::{self, FrameKind, FrameLimits, FrameRef, Parsed};
use amqp091::protocol::{AnyMethod, basic, channel, connection};
use bytes::BytesMut;

use super::connection::{Connection, ConnectionKey};
use super::faults::{Action, Cut, Direction, RuleId, Seen, Trigger};
use super::output::Output;
use super::timers::Timer;
use super::{Core, OUTPUT_LIMIT};

/// One connection's.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    /// Whose rules keep the client from being read, and from being written to: until the last of them lets go.
    pub(crate) stopped_reading: Vec<RuleId>,
    pub(crate) stopped_writing: Vec<RuleId>,
    /// Whose rule keeps a frame of the client waiting, and until when, if that is known.
    paused: Option<(RuleId, Option<Duration>)>,
    /// What was read of the client and waits behind that, or isn't a whole frame yet.
    input: BytesMut,
    /// Whether what waits in `input` is to be looked at.
    resumed: bool,
    /// Whether the next frame of the client has been seen by the rules already.
    pub(crate) passes: bool,
    /// What may be written now, ahead of all that is said from now on.
    ready: BytesMut,
    waiting: Vec<Waiting>,
    /// Confirms that a rule gathers on a channel.
    coalesced: HashMap<(RuleId, u16), Vec<basic::Ack>>,
    /// The first message of each channel that a rule keeps the client from hearing of: no `multiple` may
    /// speak for it.
    untold: HashMap<u16, u64>,
    /// Octets that are written before the end, and whether that is a reset.
    cut: Option<(usize, bool)>,
    /// Whether the next frame is cut in two, and whether by a reset.
    pub(crate) middle: Option<bool>,
    /// Whether the socket is reset rather than closed.
    pub(crate) reset: bool,
    /// Limits that were offered in the place of the broker's own.
    pub(crate) tune: Option<connection::Tune>,
}

#[derive(Debug)]
struct Waiting {
    rule: RuleId,
    /// The channel that it is for, unless it is about that itself, or for several.
    channel: Option<u16>,
    until: Option<Duration>,
    octets: BytesMut,
}

impl Lane {
    /// Octets that wait for their time or to be released.
    fn held(&self) -> usize {
        self.waiting.iter().map(|waiting| waiting.octets.len()).sum()
    }

    /// Appends to what is written, as far as the connection is to last; `false` where it ends.
    fn put(&mut self, wire: &mut BytesMut, octets: &[u8]) -> bool {
        let Some((left, _)) = &mut self.cut else {
            wire.extend_from_slice(octets);
            return true;
        };
        let count = octets.len().min(*left);
        wire.extend_from_slice(&octets[..count]);
        *left -= count;
        *left > 0
    }

    /// Lets go of what a rule holds.
    fn release(&mut self, rule: RuleId) {
        self.stopped_reading.retain(|stopped| *stopped != rule);
        self.stopped_writing.retain(|stopped| *stopped != rule);
        if self.paused.take_if(|(paused, _)| *paused == rule).is_some() {
            self.resumed = true;
            self.passes = true;
        }
        let ready = &mut self.ready;
        self.waiting.retain(|waiting| {
            if waiting.rule == rule {
                ready.extend_from_slice(&waiting.octets);
            }
            waiting.rule != rule
        });
        let mut gathered: Vec<_> = self.coalesced.extract_if(|(by, _), _| *by == rule).collect();
        gathered.sort_unstable_by_key(|((_, channel), _)| *channel);
        for ((_, channel), acks) in gathered {
            let untold = self.untold.get(&channel).copied();
            put_acks(&mut self.ready, channel, &acks, untold);
        }
    }

    /// The client isn't to hear of a message that it published.
    pub(super) fn note_untold(&mut self, channel: u16, tag: u64) {
        let first = self.untold.entry(channel).or_insert(tag);
        *first = tag.min(*first);
    }

    /// A channel is gone, and what was to be said on it is not said any more.
    pub(super) fn forget_channel(&mut self, number: u16) {
        self.waiting.retain(|waiting| waiting.channel != Some(number));
        self.coalesced.retain(|(_, channel), _| *channel != number);
        self.untold.remove(&number);
    }

    /// Only these channels are still to hear anything.
    fn keep_channels(&mut self, open: &[u16]) {
        self.waiting.retain(|waiting| waiting.channel.is_none_or(|number| open.contains(&number)));
        self.coalesced.retain(|(_, number), _| open.contains(number));
    }

    fn handle_time(&mut self, now: Duration) {
        let is_due = |until: Option<Duration>| until.is_some_and(|until| until <= now);
        if self.paused.take_if(|(_, until)| is_due(*until)).is_some() {
            self.resumed = true;
            self.passes = true;
        }
        self.waiting.sort_by_key(|waiting| waiting.until.unwrap_or(Duration::MAX));
        let ready = &mut self.ready;
        self.waiting.retain(|waiting| {
            let due = is_due(waiting.until);
            if due {
                ready.extend_from_slice(&waiting.octets);
            }
            !due
        });
    }
}

/// Sends confirms that were gathered: as one, unless that spoke for the first message that is untold.
fn put_acks(out: &mut BytesMut, channel: u16, acks: &[basic::Ack], untold: Option<u64>) {
    let Some(delivery_tag) = acks.iter().map(|ack| ack.delivery_tag).max() else { return };
    if acks.len() > 1 && untold.is_none_or(|untold| untold > delivery_tag) {
        let _ = encode::method(out, channel, &basic::Ack { delivery_tag, multiple: true });
        return;
    }
    for ack in acks {
        let _ = encode::method(out, channel, ack);
    }
}

impl Connection {
    /// Whether anything can be written.
    pub(super) fn has_output(&self) -> bool {
        match &self.lane {
            None => !self.out.is_empty(),
            Some(lane) if !lane.stopped_writing.is_empty() => false,
            Some(lane) => {
                !lane.ready.is_empty() || (!self.out.is_empty() && lane.held() < OUTPUT_LIMIT)
            }
        }
    }

    /// Whether rules keep it from being read.
    pub(super) fn is_kept_waiting(&self) -> bool {
        self.lane
            .as_ref()
            .is_some_and(|lane| !lane.stopped_reading.is_empty() || lane.paused.is_some())
    }

    /// Whether it can't be heard for a rule's sake, so that its silence means nothing.
    pub(super) fn is_stopped(&self) -> bool {
        self.is_kept_waiting()
            || self.lane.as_ref().is_some_and(|lane| !lane.stopped_writing.is_empty())
    }

    /// Whether something is to be written at a time that is known.
    pub(super) fn is_delayed(&self) -> bool {
        self.lane
            .as_ref()
            .is_some_and(|lane| lane.waiting.iter().any(|waiting| waiting.until.is_some()))
    }
}

/// Where a unit of frames, a method with its content, ends.
fn unit_end(octets: &[u8], at: usize, channel: u16) -> usize {
    let mut end = at;
    while let Ok(Parsed::Frame { frame, consumed }) = parse(&octets[end..])
        && (end == at
            || (matches!(frame.kind, FrameKind::Header | FrameKind::Body)
                && frame.channel == channel))
    {
        end += consumed;
    }
    end
}

fn parse(octets: &[u8]) -> Result<Parsed<'_>, frame::FrameError> {
    frame::parse(octets, FrameLimits::from_frame_max(0))
}

impl Core {
    /// Whether input that was read before is to be looked at again.
    pub(crate) fn is_behind(&self, key: ConnectionKey) -> bool {
        self.connections.get(key).is_some_and(|connection| connection.behind)
    }

    /// Looks at input again that was read before.
    pub(crate) fn catch_up(&mut self, key: ConnectionKey, input: &mut BytesMut, now: Duration) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.behind = false;
        }
        self.handle_input(key, input, now);
    }

    /// Keeps input for when it may be looked at.
    pub(super) fn keep_input(&mut self, key: ConnectionKey, input: BytesMut) {
        if let Some(lane) = self.lane(key) {
            lane.resumed |= lane.paused.is_none();
            lane.input = input;
        }
    }

    /// What was kept of the input, to be looked at before what has come since.
    pub(super) fn take_kept(&mut self, key: ConnectionKey) -> Option<BytesMut> {
        let lane = self.connections.get_mut(key)?.lane.as_mut()?;
        (!lane.input.is_empty()).then(|| lane.input.split())
    }

    /// Looks at the input that was kept, if nothing keeps it waiting any more.
    fn resume(&mut self, key: ConnectionKey) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.is_kept_waiting() {
            return;
        }
        let Some(lane) = &mut connection.lane else { return };
        if std::mem::take(&mut lane.resumed) {
            let mut input = lane.input.split();
            self.handle_input(key, &mut input, self.now);
            // The rest of a frame is still to come.
            if !input.is_empty()
                && let Some(lane) = self.lane(key)
            {
                lane.input = input;
            }
        }
    }

    /// Whether the socket is to be reset rather than closed.
    pub(crate) fn is_reset(&self, key: ConnectionKey) -> bool {
        let lane = self.connections.get(key).and_then(|connection| connection.lane.as_ref());
        lane.is_some_and(|lane| lane.reset)
    }

    /// A client's frame waits, and all behind it.
    pub(super) fn pause_input(&mut self, key: ConnectionKey, rule: RuleId, at: Option<Duration>) {
        if let Some(lane) = self.lane(key) {
            lane.paused = Some((rule, at));
            lane.resumed = false;
        }
        if let Some(at) = at {
            self.timers.set(at, Timer::Lane(key));
        }
    }

    /// A connection's channels that aren't closed, or being closed.
    fn open_channels(&self, key: ConnectionKey) -> Vec<u16> {
        let Some(connection) = self.connections.get(key) else { return Vec::new() };
        let is_open = |key| self.channels.get(key).is_some_and(|channel| !channel.closing);
        let channels = connection.channels.iter();
        channels.filter(|(_, key)| is_open(**key)).map(|(number, _)| *number).collect()
    }

    /// Something that waited on a connection is due.
    pub(super) fn handle_lane(&mut self, key: ConnectionKey) {
        let now = self.now;
        let open = self.open_channels(key);
        if let Some(connection) = self.connections.get_mut(key)
            && let Some(lane) = &mut connection.lane
        {
            lane.keep_channels(&open);
            lane.handle_time(now);
            connection.last_read = now;
            self.stir(key);
            self.resume(key);
        }
    }

    /// Lets go of what a rule holds, wherever that is.
    pub(crate) fn release(&mut self, rule: RuleId) {
        let now = self.now;
        let keys: Vec<_> = self.connections.iter().map(|(key, _)| key).collect();
        for key in keys {
            let open = self.open_channels(key);
            if let Some(connection) = self.connections.get_mut(key)
                && let Some(lane) = &mut connection.lane
            {
                lane.keep_channels(&open);
                lane.release(rule);
                connection.last_read = now;
                self.stir(key);
                self.resume(key);
            }
        }
    }

    /// Ends a connection's output after so many octets more.
    pub(super) fn cut_after(&mut self, key: ConnectionKey, octets: usize, reset: bool) {
        if octets == 0 {
            return self.cut_off(key, reset);
        }
        if let Some(lane) = self.lane(key) {
            lane.cut = Some((octets, reset));
        }
    }

    /// Ends a connection without a word: what was said before is still written.
    pub(super) fn cut_off(&mut self, key: ConnectionKey, reset: bool) {
        self.end_connection(key);
        if let Some(lane) = self.lane(key) {
            lane.reset |= reset;
            lane.waiting.clear();
            lane.input = BytesMut::new();
            lane.paused = None;
            lane.stopped_reading.clear();
        }
        self.flush_and_close(key);
        self.settle_dead();
    }

    /// Moves what is to be written to `output`, past the rules.
    pub(super) fn take_through_rules(&mut self, key: ConnectionKey, output: &mut Output) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if !connection.has_output() {
            return;
        }
        connection.last_write = self.now;
        let mut wire = BytesMut::new();
        let mut goes_on = true;
        let mut waits = 0;
        if let Some(lane) = &mut connection.lane {
            waits = lane.held();
            let ready = lane.ready.split();
            goes_on = lane.put(&mut wire, &ready);
        }
        let mut said = BytesMut::new();
        if goes_on && waits < OUTPUT_LIMIT {
            connection.out.flatten();
            said = connection.out.frames().split();
            connection.out.clear();
            self.serve_stalled(key);
            goes_on = self.put_through(key, &mut wire, &said);
        }
        drop(said);
        output.frames().extend_from_slice(&wire);
        if !goes_on {
            if let Some(connection) = self.connections.get_mut(key) {
                connection.out.clear();
            }
            let reset = self.lane(key).and_then(|lane| lane.cut).is_some_and(|(_, reset)| reset);
            self.cut_off(key, reset);
            // Nothing more is said, whatever that has led to.
            if let Some(connection) = self.connections.get_mut(key) {
                connection.out.clear();
            }
        }
    }

    /// Frame by frame; `false` where the connection ends.
    fn put_through(&mut self, key: ConnectionKey, wire: &mut BytesMut, said: &[u8]) -> bool {
        let mut at = 0;
        // Channels that a rule has closed meanwhile.
        let mut closed = Vec::new();
        while at < said.len() {
            if let Some(lane) = self.lane(key)
                && let Some(&rule) = lane.stopped_writing.last()
            {
                let octets = BytesMut::from(&said[at..]);
                lane.waiting.push(Waiting { rule, channel: None, until: None, octets });
                return true;
            }
            let Ok(Parsed::Frame { frame, consumed }) = parse(&said[at..]) else {
                // The protocol header, of a client that came with another.
                let Some(lane) = self.lane(key) else { return false };
                return lane.put(wire, &said[at..]);
            };
            if closed.contains(&frame.channel) {
                at += consumed;
                continue;
            }
            if let Some(reset) = self.lane(key).and_then(|lane| lane.middle.take()) {
                self.cut_in(key, consumed / 2, reset);
            }
            let mut end = at + consumed;
            if frame.kind == FrameKind::Method
                && let Ok(method) = AnyMethod::from_payload(frame.payload)
            {
                let seen = Seen {
                    trigger: Trigger::AnyMethod,
                    direction: Direction::ToClient,
                    key,
                    channel: frame.channel,
                    method: Some(&method),
                    is_bare_publish: false,
                };
                if let Some((id, action)) = self.pick(&seen) {
                    if method.has_content() {
                        end = unit_end(said, at, frame.channel);
                    }
                    let unit = &said[at..end];
                    let was_running = self.is_running(key);
                    let goes_on =
                        self.meddle_with_output(key, wire, unit, frame, &method, id, &action);
                    match action {
                        _ if !goes_on => return false,
                        Action::Restart => return false,
                        // The close is what comes next.
                        Action::CloseConnection(..) if was_running => return true,
                        Action::CloseChannel(..) => closed.push(frame.channel),
                        _ => {}
                    }
                    at = end;
                    continue;
                }
            }
            let seen = Seen {
                trigger: Trigger::Frame,
                direction: Direction::ToClient,
                key,
                channel: frame.channel,
                method: None,
                is_bare_publish: false,
            };
            let unit = &said[at..end];
            let was_running = self.is_running(key);
            let goes_on = match self.pick(&seen) {
                None => self.lane(key).is_some_and(|lane| lane.put(wire, unit)),
                Some((id, action)) => {
                    // It says nothing that an action could look at.
                    let nothing = AnyMethod::ConnectionCloseOk(connection::CloseOk {});
                    let goes_on =
                        self.meddle_with_output(key, wire, unit, frame, &nothing, id, &action);
                    match action {
                        Action::CloseConnection(..) if goes_on && was_running => return true,
                        Action::CloseChannel(..) if frame.channel != 0 => {
                            closed.push(frame.channel);
                            goes_on
                        }
                        Action::Restart => false,
                        _ => goes_on,
                    }
                }
            };
            if !goes_on {
                return false;
            }
            at = end;
        }
        true
    }

    fn is_running(&self, key: ConnectionKey) -> bool {
        self.connections.get(key).is_some_and(Connection::is_running)
    }

    fn cut_in(&mut self, key: ConnectionKey, octets: usize, reset: bool) {
        if let Some(lane) = self.lane(key) {
            lane.cut = Some((octets, reset));
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a frame, what it means, and what is done")]
    fn meddle_with_output(
        &mut self,
        key: ConnectionKey,
        wire: &mut BytesMut,
        unit: &[u8],
        frame: FrameRef<'_>,
        method: &AnyMethod,
        id: RuleId,
        action: &Action,
    ) -> bool {
        let now = self.now;
        // What is about the channel itself comes even if that is closed.
        let is_about = method.id().class_id == channel::CLASS_ID;
        let channel = (!is_about).then_some(frame.channel).filter(|number| *number != 0);
        let Some(lane) = self.lane(key) else { return false };
        if matches!(action, Action::Delay(_) | Action::Hold | Action::Discard)
            && frame.kind == FrameKind::Method
        {
            match AnyMethod::from_payload(frame.payload) {
                Ok(AnyMethod::BasicAck(ack)) => lane.note_untold(frame.channel, ack.delivery_tag),
                Ok(AnyMethod::BasicNack(nack)) => {
                    lane.note_untold(frame.channel, nack.delivery_tag);
                }
                _ => {}
            }
        }
        match action {
            Action::Drop { cut, reset } => {
                let first = frame.payload.len() + frame::OVERHEAD;
                let octets = match cut {
                    Cut::Before => 0,
                    Cut::After => unit.len(),
                    Cut::Octets(octets) => *octets,
                    Cut::Middle => first / 2,
                };
                lane.cut = Some((octets, *reset));
                return octets > 0 && lane.put(wire, unit);
            }
            Action::Delay(span) => {
                let at = now.saturating_add(*span);
                let octets = BytesMut::from(unit);
                lane.waiting.push(Waiting { rule: id, channel, until: Some(at), octets });
                self.timers.set(at, Timer::Lane(key));
                return true;
            }
            Action::Hold => {
                let octets = BytesMut::from(unit);
                lane.waiting.push(Waiting { rule: id, channel, until: None, octets });
                return true;
            }
            Action::Discard => return true,
            Action::Coalesce(most) => {
                let AnyMethod::BasicAck(ack) = method else { return lane.put(wire, unit) };
                let untold = lane.untold.get(&frame.channel).copied();
                let acks = lane.coalesced.entry((id, frame.channel)).or_default();
                acks.push(ack.clone());
                if acks.len() < *most as usize {
                    return true;
                }
                let mut octets = BytesMut::new();
                put_acks(&mut octets, frame.channel, acks, untold);
                acks.clear();
                return lane.put(wire, &octets);
            }
            Action::Tune { channel_max, frame_max, heartbeat } => {
                let tune = connection::Tune {
                    channel_max: *channel_max,
                    frame_max: *frame_max,
                    heartbeat: *heartbeat,
                };
                let mut octets = BytesMut::new();
                let _ = encode::method(&mut octets, 0, &tune);
                lane.tune = Some(tune);
                return lane.put(wire, &octets);
            }
            Action::Corrupt { octet } => {
                let mut octets = BytesMut::from(unit);
                let place = (*octet).min(octets.len().saturating_sub(1));
                if let Some(octet) = octets.get_mut(place) {
                    *octet = !*octet;
                }
                return lane.put(wire, &octets);
            }
            Action::StopWriting | Action::Silence => {
                // Not this one either.
                self.act(key, frame.channel, method, id, action);
                if let Some(lane) = self.lane(key) {
                    let octets = BytesMut::from(unit);
                    lane.waiting.push(Waiting { rule: id, channel, until: None, octets });
                }
                return true;
            }
            _ => {}
        }
        let goes_on = lane.put(wire, unit);
        self.act(key, frame.channel, method, id, action);
        goes_on
    }
}
