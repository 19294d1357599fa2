//! Ways out of a share: names, links, special files, other volumes.

use hostile_kernel::{
    fuse::{self, Body, ROOT, op},
    outcome::Outcome,
};

use super::{CREATE, OTHER, READ_ONLY, READ_WRITE, TRUNCATE, VOLUME};
use crate::machine::{Answer, Guest, Share};

/// What looking a name up gives.
pub fn names(guest: &mut Guest, name: &[u8]) -> Outcome {
    let looked = |share: &mut Share, node| match share.lookup(node, name) {
        Ok(_) => 0,
        Err(number) => number,
    };
    let rootfs = looked(guest.rootfs(), ROOT);
    let volumes = guest.volumes();
    let volume = volumes.walk(&[VOLUME]);
    if looked(volumes, volume) == rootfs && looked(volumes, ROOT) == rootfs {
        Outcome::Errno(rootfs)
    } else {
        Outcome::Is("not the same everywhere")
    }
}

pub fn name_without_end(guest: &mut Guest) -> Outcome {
    guest.rootfs().ask(op::LOOKUP, ROOT, &Body::new().bytes(b"..")).outcome()
}

/// Everything that makes a name, with names that lead out. The first that works is told.
pub fn create_outside(guest: &mut Guest) -> Outcome {
    let share = guest.volumes();
    let volume = share.walk(&[VOLUME]);
    for name in [b"../outside".as_slice(), b"/tmp/outside", b"..", b"0/../../outside"] {
        let requests = [
            (op::CREATE, fuse::create(READ_WRITE | CREATE, name)),
            (op::MKDIR, Body::new().u32(0o755).u32(0).name(name)),
            (op::MKNOD, fuse::mknod(0o100_644, 0, name)),
            (op::SYMLINK, Body::new().name(name).name(b"/etc")),
            (op::LINK, Body::new().u64(volume).name(name)),
            (op::UNLINK, Body::new().name(name)),
        ];
        for (operation, body) in requests {
            let answer = share.ask(operation, volume, &body);
            if answer.is_done() {
                return Outcome::Is("made a name outside");
            }
        }
    }
    Outcome::Is("refused")
}

pub fn rename_outside(guest: &mut Guest) -> Outcome {
    let share = guest.volumes();
    let volume = share.walk(&[VOLUME]);
    let names: [(&[u8], &[u8]); 3] =
        [(b"../canary", b"stolen"), (b"file", b"../file"), (b"file", b"/tmp/file")];
    let done = names.into_iter().any(|(old, new)| {
        share.ask(op::RENAME, volume, &fuse::rename(volume, old, new)).is_done()
            || share.ask(op::RENAME, ROOT, &fuse::rename(volume, old, new)).is_done()
    });
    Outcome::Is(if done { "renamed" } else { "refused" })
}

/// The volume's link to the directory with the canary.
fn link(share: &mut Share) -> u64 {
    share.walk(&[VOLUME, "link"])
}

pub fn through_link(guest: &mut Guest) -> Outcome {
    let share = guest.volumes();
    let link = link(share);
    match share.lookup(link, b"canary") {
        Ok(_) => Outcome::Errno(0),
        Err(number) => Outcome::Errno(number),
    }
}

pub fn open_link(guest: &mut Guest) -> Outcome {
    let share = guest.volumes();
    let node = share.walk(&[VOLUME, "canary-link"]);
    for flags in [0, READ_WRITE, READ_WRITE | TRUNCATE] {
        if share.ask(op::OPEN, node, &fuse::open(flags)).is_done() {
            return Outcome::Is("opened");
        }
    }
    let link = link(share);
    if share.ask(op::OPENDIR, link, &fuse::open(0)).is_done() {
        return Outcome::Is("opened");
    }
    share.ask(op::OPEN, node, &fuse::open(0)).outcome()
}

pub fn create_at_link(guest: &mut Guest) -> Outcome {
    let share = guest.volumes();
    let volume = share.walk(&[VOLUME]);
    let first = share.ask(op::CREATE, volume, &fuse::create(READ_WRITE | CREATE | TRUNCATE, b"canary-link"));
    let second = share.ask(op::CREATE, volume, &fuse::create(READ_WRITE | CREATE, b"dangling-link"));
    Outcome::Is(if first.is_done() || second.is_done() { "followed" } else { "refused" })
}

pub fn truncate_link(guest: &mut Guest) -> Outcome {
    let share = guest.volumes();
    let node = share.walk(&[VOLUME, "canary-link"]);
    let answer = share.ask(op::SETATTR, node, &fuse::truncate(0));
    Outcome::Is(if answer.is_done() { "truncated" } else { "refused" })
}

pub fn open_special(guest: &mut Guest, name: &str) -> Outcome {
    let share = guest.volumes();
    let node = share.walk(&[VOLUME, name]);
    share.ask(op::OPEN, node, &fuse::open(READ_WRITE)).outcome()
}

/// /dev/mem of the host, made here: character device 1, 1.
pub fn open_made_device(guest: &mut Guest) -> Outcome {
    let share = guest.volumes();
    let volume = share.walk(&[VOLUME]);
    let made = share.ask(op::MKNOD, volume, &fuse::mknod(0o020_666, 0x101, b"memory"));
    if !made.is_done() {
        return made.outcome();
    }
    let node = share.number();
    let opened = share.ask(op::OPEN, node, &fuse::open(READ_WRITE));
    share.ask(op::UNLINK, volume, &Body::new().name(b"memory"));
    opened.outcome()
}

pub fn write_read_only(guest: &mut Guest) -> Outcome {
    let share = guest.volumes();
    let volume = share.walk(&[READ_ONLY]);
    let file = share.walk(&[READ_ONLY, "file"]);
    let answers = [
        share.ask(op::OPEN, file, &fuse::open(READ_WRITE)),
        share.ask(op::CREATE, volume, &fuse::create(READ_WRITE | CREATE, b"new")),
        share.ask(op::UNLINK, volume, &Body::new().name(b"file")),
        share.ask(op::SETATTR, file, &fuse::truncate(0)),
        share.ask(op::MKDIR, ROOT, &Body::new().u32(0o755).u32(0).name(b"new")),
    ];
    let all = answers.iter().all(|answer| matches!(answer, Answer::Error(30)));
    Outcome::Is(if all { "read-only" } else { "not read-only everywhere" })
}

pub fn rename_between_volumes(guest: &mut Guest) -> Outcome {
    let share = guest.volumes();
    let (from, to) = (share.walk(&[VOLUME]), share.walk(&[OTHER]));
    share.ask(op::RENAME, from, &fuse::rename(to, b"file", b"file")).outcome()
}

pub fn link_between_volumes(guest: &mut Guest) -> Outcome {
    let share = guest.volumes();
    let (file, to) = (share.walk(&[VOLUME, "file"]), share.walk(&[OTHER]));
    share.ask(op::LINK, to, &Body::new().u64(file).name(b"file")).outcome()
}
