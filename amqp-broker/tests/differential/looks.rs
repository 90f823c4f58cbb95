//! What queues hold, as a side sees it: between steps, and at the end.

use amqp091::protocol::{ToClient, ToServer, basic, channel, exchange, queue};

use super::{LOOKING, Side, number_of};
use crate::peer::short;
use crate::program::CHANNELS;

impl Side {
    /// Asks how much each queue has.
    pub(crate) fn look(&mut self) {
        self.looked.clear();
        for (queue, connection) in self.queues.clone() {
            self.connect(connection);
            if !self.looks[connection] {
                self.looks[connection] = true;
                self.peers[connection].open_channel(LOOKING);
            }
            let declare =
                queue::Declare { queue: short(queue), passive: true, ..queue::Declare::default() };
            self.peers[connection].send(LOOKING, &declare);
            self.looks_left += 1;
            // One that is missing closes the channel, so one after the other.
            while self.looks_left > 0 {
                if !self.poll() {
                    std::thread::sleep(std::time::Duration::from_micros(50));
                }
            }
        }
        self.looked.sort();
    }

    pub(crate) fn looked(&self) -> &[String] {
        &self.looked
    }

    pub(super) fn take_look(&mut self, connection: usize, method: ToClient) {
        self.looks_left = 0;
        let text = match method {
            ToClient::QueueDeclareOk(ok) => {
                format!("{}: {} for {}", ok.queue, ok.message_count, ok.consumer_count)
            }
            ToClient::ChannelClose(close) => {
                self.peers[connection].send(LOOKING, &channel::CloseOk {});
                self.looks[connection] = false;
                format!("{}", close.reply_text)
            }
            _ => return,
        };
        let text = self.called(&text);
        self.looked.push(text);
    }

    /// Forgets queues that both know to be gone.
    pub(crate) fn forget_missing(&mut self) {
        let missing: Vec<_> = self
            .looked
            .iter()
            .filter_map(|text| text.strip_prefix("NOT_FOUND - no queue '")?.split('\'').next())
            .map(|name| self.name(name))
            .collect();
        for name in missing {
            self.queues.remove(&name);
        }
    }

    /// All messages of all queues, through the connections that look.
    pub(crate) fn drain(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        let mut queues: Vec<_> = self.queues.clone().into_iter().collect();
        queues.sort_by_key(|(queue, _)| self.called(queue));
        for (queue, connection) in queues {
            let at = connection * CHANNELS / 2;
            self.open(at);
            self.lines[at].asked_of.clone_from(&queue);
            loop {
                let get = basic::Get { queue: short(&queue), no_ack: true };
                self.lines[at].awaits = true;
                self.peers[connection].send(number_of(at), &get);
                while self.lines[at].awaits {
                    if !self.poll() {
                        std::thread::sleep(std::time::Duration::from_micros(50));
                    }
                }
                let told = std::mem::take(&mut self.lines[at].told);
                let is_message = told.replies.iter().any(|reply| reply.starts_with("got"));
                let queue = self.called(&queue);
                found.extend(
                    told.replies.iter().chain(&told.closes).map(|text| format!("{queue}: {text}")),
                );
                if !is_message {
                    break;
                }
            }
        }
        found
    }

    /// Leaves nothing behind.
    pub(crate) fn clean_up(&mut self, exchanges: &[&str]) {
        self.open(0);
        for queue in std::mem::take(&mut self.queues).into_keys() {
            let delete = queue::Delete { queue: short(queue), ..queue::Delete::default() };
            self.ask(&delete.into());
        }
        for exchange in exchanges {
            let exchange = short(self.name(exchange));
            self.ask(&exchange::Delete { exchange, ..exchange::Delete::default() }.into());
        }
    }

    fn ask(&mut self, method: &ToServer) {
        self.open(0);
        self.lines[0].awaits = true;
        self.peers[0].send_any(1, method);
        while self.lines[0].awaits {
            if !self.poll() {
                std::thread::sleep(std::time::Duration::from_micros(50));
            }
        }
    }
}
