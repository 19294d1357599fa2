//! Requests that are none: made-up numbers, lengths that lie, chains that make no sense.

use hostile_kernel::{
    descriptor::{self, Descriptor},
    fuse::{self, Body, ROOT, op},
    outcome::Outcome,
    random::Random,
};

use super::{HUGE, READ_WRITE, VOLUME};
use crate::machine::{Answer, Guest, Share, ram};

pub fn node_never_given(guest: &mut Guest) -> Outcome {
    let share = guest.rootfs();
    let nodes = [0, 0x1234_5678, u64::MAX];
    let answers = nodes.map(|node| share.ask(op::OPEN, node, &fuse::open(0)));
    if answers.iter().any(|answer| answer.is_done()) { Outcome::Errno(0) } else { answers[1].outcome() }
}

/// Of a file that another share knows: here that number is nobody's, or another file's.
pub fn node_of_other_share(guest: &mut Guest) -> Outcome {
    let mut last = 0;
    let share = guest.volumes();
    for name in ["file", "canary-link", "fifo", "device"] {
        last = last.max(share.walk(&[VOLUME, name]));
    }
    guest.rootfs().ask(op::LINK, ROOT, &Body::new().u64(last).name(b"stolen")).outcome()
}

pub fn handle_never_given(guest: &mut Guest) -> Outcome {
    let share = guest.volumes();
    let file = share.walk(&[VOLUME, "file"]);
    let answers = [
        share.ask(op::READ, file, &fuse::read(777, 0, 4096)),
        share.ask(op::WRITE, file, &fuse::write(u64::MAX, 0, 4, b"evil")),
        share.ask(op::READDIR, ROOT, &fuse::read(0x8000_0000_0000_0000, 0, 4096)),
        share.ask(op::FALLOCATE, file, &Body::new().u64(778).u64(0).u64(1 << 40).u64(0)),
    ];
    let all = answers.iter().all(|answer| matches!(answer, Answer::Error(9)));
    if all { Outcome::Errno(9) } else { Outcome::Is("not refused everywhere") }
}

/// A handle of the file of the volume.
fn open(share: &mut Share) -> (u64, u64) {
    let file = share.walk(&[VOLUME, "file"]);
    let opened = share.ask(op::OPEN, file, &fuse::open(READ_WRITE));
    assert!(opened.is_done(), "OPEN: {}", opened.outcome());
    (file, share.number())
}

/// The guest's own file is read, and what is in it is seen: so would the canary be.
pub fn sound_read(guest: &mut Guest) -> Outcome {
    let share = guest.volumes();
    let (file, handle) = open(share);
    let read = share.ask(op::READ, file, &fuse::read(handle, 0, 4096));
    let seen = ram::holds(ram::ANSWERS, 4096, b"inside");
    Outcome::Is(if read.is_done() && seen { "seen" } else { "not seen" })
}

/// Sizes in requests that say 4 GiB. None has its way; how each is refused is the library's affair.
pub fn lengths_of_4g(guest: &mut Guest) -> Outcome {
    let share = guest.volumes();
    let (file, handle) = open(share);
    assert!(share.ask(op::OPENDIR, ROOT, &fuse::open(0)).is_done(), "OPENDIR");
    let directory = share.number();
    let attribute = Body::new().u32(HUGE).u32(0).name(b"user.a");
    let requests = [
        (op::READ, file, fuse::read(handle, 0, HUGE)),
        (op::WRITE, file, fuse::write(handle, 0, HUGE, b"")),
        (op::READDIR, ROOT, fuse::read(directory, 0, HUGE)),
        (op::READDIRPLUS, ROOT, fuse::read(directory, 0, HUGE)),
        (op::SETXATTR, file, attribute.clone()),
        (op::GETXATTR, file, attribute.clone()),
        (op::LISTXATTR, file, attribute),
        (op::BATCH_FORGET, 0, Body::new().u32(HUGE).u32(0)),
    ];
    let mut answered = 0;
    for (operation, node, body) in requests {
        let room = Descriptor::write(ram::ANSWERS, HUGE);
        let length = (fuse::IN_HEADER + body.as_bytes().len()) as u32;
        ram::write(ram::REQUESTS, &fuse::header(length, operation, 1, node));
        ram::write(ram::REQUESTS + fuse::IN_HEADER as u64, body.as_bytes());
        let answers = [
            share.ask(operation, node, &body),
            share.send(&[Descriptor::read(ram::REQUESTS, length), room]),
            share.send(&[Descriptor::read(ram::REQUESTS, HUGE), Descriptor::write(ram::ANSWERS, 1 << 20)]),
        ];
        answered += answers.iter().filter(|answer| !matches!(answer, Answer::Nothing(None))).count() as u64;
    }
    Outcome::Count(answered)
}

/// Headers that lie about the length of what follows.
pub fn header_lengths(guest: &mut Guest) -> Outcome {
    let share = guest.rootfs();
    let lengths = [0, 1, 39, 40, 41, 1 << 20, (1 << 20) + 0x1001, HUGE];
    let operations = [op::LOOKUP, op::SYMLINK, op::SETXATTR, op::RENAME, op::CREATE, op::WRITE, op::READLINK];
    let mut through = 0;
    let mut refused = 0;
    for (length, operation) in lengths.iter().flat_map(|&length| operations.map(|op| (length, op))) {
        match share.ask_with_length(length, operation, ROOT, &Body::new().name(b"..")) {
            Answer::Done => through += 1,
            _ => refused += 1,
        }
    }
    Outcome::Counts(through, refused)
}

pub fn huge_offsets(guest: &mut Guest) -> Outcome {
    let share = guest.volumes();
    let (file, handle) = open(share);
    let mut through = 0;
    for offset in [1 << 63, u64::MAX, u64::MAX - 4095, i64::MAX as u64] {
        through += u64::from(share.ask(op::WRITE, file, &fuse::write(handle, offset, 4, b"evil")).is_done());
        through += u64::from(share.ask(op::SETATTR, file, &fuse::truncate(offset)).is_done());
        let allocate = Body::new().u64(handle).u64(offset).u64(offset).u64(0);
        through += u64::from(share.ask(op::FALLOCATE, file, &allocate).is_done());
        // Reading behind the end is answered with nothing.
        share.ask(op::READ, file, &fuse::read(handle, offset, 4096));
        share.ask(op::READDIR, ROOT, &fuse::read(handle, offset, 4096));
    }
    Outcome::Count(through)
}

/// A root that is forgotten is gone until the share is mounted anew: the guest's own loss.
pub fn forget_root(guest: &mut Guest) -> Outcome {
    let share = guest.rootfs();
    for _ in 0..4 {
        share.ask(op::FORGET, ROOT, &Body::new().u64(u64::MAX));
    }
    let forgotten = attributes(share, ROOT).is_done();
    guest.unmount();
    let mounted = attributes(guest.rootfs(), ROOT).is_done();
    Outcome::Is(if !forgotten && mounted { "back when mounted" } else { "gone" })
}

/// Asks for the attributes of a node.
pub fn attributes(share: &mut Share, node: u64) -> Answer {
    share.ask(op::GETATTR, node, &Body::new().bytes(&[0; 16]))
}

/// What is not known cannot be forgotten, and a batch ends where its buffer does.
pub fn forget_billions(guest: &mut Guest) -> Outcome {
    let share = guest.volumes();
    let file = share.walk(&[VOLUME, "file"]);
    let batch = Body::new().u32(HUGE).u32(0).u64(file).u64(u64::MAX).u64(0x1234).u64(u64::MAX);
    share.ask(op::BATCH_FORGET, 0, &batch);
    attributes(share, file).outcome()
}

pub fn indirect_in_registers(guest: &mut Guest) -> Outcome {
    let base = guest.devices()[0].base;
    let share = guest.rootfs();
    let tables =
        [(base, 32), (0xfee0_0000, 0x1000), (u64::MAX - 31, 32), (ram::TABLES, 17), (ram::TABLES, 0)];
    for (address, length) in tables {
        share.send(&[Descriptor::indirect(address, length)]);
    }
    share.send(&[Descriptor::indirect(ram::TABLES, HUGE)]).outcome()
}

pub fn indirect_in_indirect(guest: &mut Guest) -> Outcome {
    let share = guest.rootfs();
    let size = 64 * descriptor::SIZE;
    for index in 0..64 {
        let itself = Descriptor::indirect(ram::TABLES, size as u32).then(index + 1);
        ram::write(ram::TABLES + u64::from(index) * descriptor::SIZE, &itself.bytes());
    }
    share.send(&[Descriptor::indirect(ram::TABLES, size as u32)]).outcome()
}

/// The answer overwrites the request while it is read.
pub fn answer_over_request(guest: &mut Guest) -> Outcome {
    let share = guest.volumes();
    let (file, handle) = open(share);
    let body = fuse::read(handle, 0, 4096);
    let length = (fuse::IN_HEADER + body.as_bytes().len()) as u32;
    ram::write(ram::REQUESTS, &fuse::header(length, op::READ, 9, file));
    ram::write(ram::REQUESTS + fuse::IN_HEADER as u64, body.as_bytes());
    let same = [Descriptor::read(ram::REQUESTS, length), Descriptor::write(ram::REQUESTS, 4096)];
    let returned = share.requests().exchange(&same).is_some();
    Outcome::Is(if returned { "returned" } else { "lost" })
}

/// A server that is asked to begin anew knows nothing of what was before.
pub fn init_in_between(guest: &mut Guest) -> Outcome {
    let share = guest.volumes();
    let (file, handle) = open(share);
    share.ask(op::DESTROY, 0, &Body::new());
    let before = share.ask(op::READ, file, &fuse::read(handle, 0, 16));
    let again = share.ask(op::INIT, 0, &fuse::init(fuse::USUAL | fuse::SUBMOUNTS));
    if before.is_done() || !again.is_done() {
        return Outcome::Is("confused");
    }
    share.ask(op::READ, file, &fuse::read(handle, 0, 16)).outcome()
}

/// A client that cannot be served is refused, as often as it asks, and nobody on the host is told.
pub fn init_of_a_stranger(guest: &mut Guest) -> Outcome {
    let share = guest.volumes();
    let answers = [0; 50].map(|_| share.ask(op::INIT, 0, &fuse::init(fuse::USUAL)).outcome());
    if answers.iter().any(|answer| *answer != answers[0]) {
        Outcome::Is("not always the same")
    } else {
        answers[0]
    }
}

/// Anything, about nodes that are known and others.
pub fn any_request(guest: &mut Guest) -> Outcome {
    let mut random = Random::new(2);
    let mut answered = 0;
    const REQUESTS: u64 = 2000;
    for number in 0..REQUESTS {
        if number % 100 == 0 {
            // One of them may have been to forget the root.
            guest.unmount();
        }
        let share = if random.below(2) == 0 { guest.rootfs() } else { guest.volumes() };
        let known = random.below(55) as u32;
        let operation = random.one_of(&[known, known, known, 4096, HUGE]);
        let mut body = Body::new();
        for _ in 0..random.below(12) {
            let number = random.number();
            body = body.u64(random.one_of(&[number, number % 16, 0, u64::MAX, 0x2e2e_2f2e_2e00_2f2e]));
        }
        let (whole, any) = (body.as_bytes().len() as u32 + 40, random.number() as u32);
        let length = random.one_of(&[whole, whole, any, 40, 0]);
        let answer = share.ask_with_length(length, operation, random.below(8), &body);
        answered += u64::from(!matches!(answer, Answer::Nothing(None)));
    }
    if answered == REQUESTS { Outcome::Is("all returned") } else { Outcome::Count(answered) }
}
