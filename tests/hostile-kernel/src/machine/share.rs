//! A share of files, and the requests a client of it makes.

use hostile_kernel::{
    descriptor::Descriptor,
    fuse::{self, Body, op},
    outcome::Outcome,
};

use super::{Device, Queue, ram};

/// What a file server says when a request makes no sense.
const EINVAL: i32 = 22;
/// Where an entry has its node, and what was opened its handle.
const NODE: u64 = ram::ANSWERS + fuse::OUT_HEADER as u64;
/// What files outside have in them, and nobody may read.
const CANARY: &[u8] = b"not the guest's to read";

/// A share.
#[derive(Debug)]
pub struct Share {
    /// That of forgetting, and that of requests.
    queues: [Queue; 2],
    unique: u64,
    leaked: bool,
}

/// An answer; its body is at [`ram::ANSWERS`].
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// Done.
    Done,
    /// An error number.
    Error(i32),
    /// No answer, and the request returned or not.
    Nothing(Option<u32>),
}

impl Answer {
    /// As an outcome.
    pub fn outcome(self) -> Outcome {
        match self {
            Answer::Done => Outcome::Errno(0),
            Answer::Error(number) => Outcome::Errno(number),
            Answer::Nothing(Some(length)) => Outcome::Used(length),
            Answer::Nothing(None) => Outcome::Silence,
        }
    }

    /// Whether it was done.
    pub fn is_done(self) -> bool {
        matches!(self, Answer::Done)
    }
}

impl Share {
    /// Starts the device and says INIT.
    pub fn mount(device: Device) -> Self {
        let mut share = Share { queues: device.start_whole(), unique: 0, leaked: false };
        let answer = share.ask(op::INIT, 0, &fuse::init(fuse::USUAL | fuse::SUBMOUNTS));
        assert!(answer.is_done(), "INIT: {}", answer.outcome());
        share
    }

    /// The queue of requests.
    pub fn requests(&mut self) -> &mut Queue {
        &mut self.queues[1]
    }

    /// Makes a request and waits for its answer.
    pub fn ask(&mut self, operation: u32, node: u64, body: &Body) -> Answer {
        let length = (fuse::IN_HEADER + body.as_bytes().len()) as u32;
        self.ask_with_length(length, operation, node, body)
    }

    /// The same, with a length in the header that may be a lie.
    pub fn ask_with_length(&mut self, length: u32, operation: u32, node: u64, body: &Body) -> Answer {
        self.unique += 1;
        ram::write(ram::REQUESTS, &fuse::header(length, operation, self.unique, node));
        ram::write(ram::REQUESTS + fuse::IN_HEADER as u64, body.as_bytes());
        let size = (fuse::IN_HEADER + body.as_bytes().len()) as u32;
        self.send(&[Descriptor::read(ram::REQUESTS, size), Descriptor::write(ram::ANSWERS, ram::ANSWER_ROOM)])
    }

    /// Sends what is in these buffers.
    pub fn send(&mut self, chain: &[Descriptor]) -> Answer {
        ram::write(ram::ANSWERS, &[0; fuse::OUT_HEADER]);
        let Some(used) = self.requests().exchange(chain) else { return Answer::Nothing(None) };
        self.leaked |= ram::holds(ram::ANSWERS, u64::from(used.length.min(ram::ANSWER_ROOM)), CANARY);
        match fuse::errno(&ram::read(ram::ANSWERS)) {
            _ if used.length < fuse::OUT_HEADER as u32 => Answer::Nothing(Some(used.length)),
            0 => Answer::Done,
            number => Answer::Error(number),
        }
    }

    /// Whether an answer held what no guest may see.
    pub fn has_leaked(&self) -> bool {
        self.leaked
    }

    /// The node of a name.
    pub fn lookup(&mut self, parent: u64, name: &[u8]) -> Result<u64, i32> {
        match self.ask(op::LOOKUP, parent, &Body::new().name(name)) {
            Answer::Done => Ok(self.number()),
            Answer::Error(number) => Err(number),
            Answer::Nothing(_) => Err(EINVAL),
        }
    }

    /// The node of a path that is there.
    pub fn walk(&mut self, path: &[&str]) -> u64 {
        path.iter().fold(fuse::ROOT, |parent, name| {
            self.lookup(parent, name.as_bytes()).unwrap_or_else(|number| panic!("no {name}: {number}"))
        })
    }

    /// The first number in the last answer: a node, or the handle of what was opened.
    pub fn number(&self) -> u64 {
        u64::from_le_bytes(ram::read(NODE))
    }
}
