//! Requests of the file system, and what the actor's may come to.

use agent::protocol::{BACKSTAGE, Change, ENTRANCE, EXIT, Place, Touch};
use arbitrary::Arbitrary;
use virtiofsd::fuse::{
    CreateIn, FallocateIn, ForgetIn, GetattrIn, LinkIn, MkdirIn, MknodIn, Opcode, OpenIn, ReleaseIn,
    Rename2In, SetattrIn, SetxattrIn, WriteIn,
};
use vm_memory::ByteValued;

use super::Guest;
use crate::fuse::{handle_of, name, node_of};

const NAMES: [&str; 9] = ["a", "b", "d", "e", BACKSTAGE, ENTRANCE, EXIT, "..", "x/y"];
/// The node of [`BACKSTAGE`].
pub const STAGE: u64 = (1 << 62) + 1;
/// Sizes and offsets are no larger.
const SMALL: u32 = 100;

/// A request, of what and where the fuzzer likes.
#[derive(Debug, Arbitrary)]
pub struct Request {
    op: Op,
    node: u8,
    name: u8,
    other_node: u8,
    other_name: u8,
    value: u32,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Op {
    Lookup,
    Forget,
    Getattr,
    Setattr,
    Mknod,
    Mkdir,
    Symlink,
    Link,
    Unlink,
    Rmdir,
    Rename,
    Open,
    Opendir,
    Create,
    TmpFile,
    Write,
    Fallocate,
    Flush,
    Release,
    Setxattr,
    Removexattr,
}

impl Guest<'_> {
    /// Sends a request of a thread.
    pub fn ask(&mut self, thread: u32, request: &Request) -> Result<Vec<u8>, i32> {
        let (node, other) = (self.node(request.node), self.node(request.other_node));
        let (first, second) = (self.name(request.name), self.name(request.other_name));
        let value = request.value;
        let size = u64::from(value % SMALL);
        let fh = self.handles[request.other_node as usize % self.handles.len()];
        let file = if value & 1 == 0 { libc::S_IFREG } else { libc::S_IFIFO } | 0o644;
        let (op, bodies): (Opcode, Vec<Vec<u8>>) = match request.op {
            Op::Lookup => (Opcode::Lookup, vec![first.clone()]),
            Op::Forget => (Opcode::Forget, vec![bytes(ForgetIn { nlookup: size % 3 })]),
            Op::Getattr => (Opcode::Getattr, vec![bytes(GetattrIn { flags: value & 1, dummy: 0, fh })]),
            Op::Setattr => {
                let set =
                    SetattrIn { valid: value, fh, size, mode: file, mtime: size, ..SetattrIn::default() };
                (Opcode::Setattr, vec![bytes(set)])
            }
            Op::Mknod => {
                let make = MknodIn { mode: file, ..MknodIn::default() };
                (Opcode::Mknod, vec![bytes(make), first.clone()])
            }
            Op::Mkdir => (Opcode::Mkdir, vec![bytes(MkdirIn { mode: 0o755, umask: 0 }), first.clone()]),
            Op::Symlink => (Opcode::Symlink, vec![first.clone(), name(b"a")]),
            Op::Link => (Opcode::Link, vec![bytes(LinkIn { oldnodeid: other }), first.clone()]),
            Op::Unlink => (Opcode::Unlink, vec![first.clone()]),
            Op::Rmdir => (Opcode::Rmdir, vec![first.clone()]),
            Op::Rename => {
                let rename = Rename2In { newdir: other, flags: value % 4, padding: 0 };
                (Opcode::Rename2, vec![bytes(rename), first.clone(), second.clone()])
            }
            Op::Open => (Opcode::Open, vec![bytes(OpenIn { flags: flags(value), open_flags: 0 })]),
            Op::Opendir => (Opcode::Opendir, vec![bytes(OpenIn { flags: flags(value), open_flags: 0 })]),
            Op::Create => {
                let create = CreateIn { flags: flags(value), mode: file, ..CreateIn::default() };
                (Opcode::Create, vec![bytes(create), first.clone()])
            }
            Op::TmpFile => {
                let create = CreateIn { flags: flags(value), mode: file, ..CreateIn::default() };
                (Opcode::TmpFile, vec![bytes(create), first.clone()])
            }
            Op::Write => {
                let write = WriteIn { fh, offset: size, size: 3, ..WriteIn::default() };
                (Opcode::Write, vec![bytes(write), b"xyz".to_vec()])
            }
            Op::Fallocate => {
                let space = FallocateIn { fh, offset: size, length: size, mode: value % 4, padding: 0 };
                (Opcode::Fallocate, vec![bytes(space)])
            }
            Op::Flush => (Opcode::Flush, vec![bytes(ReleaseIn { fh, ..ReleaseIn::default() })]),
            Op::Release => (Opcode::Release, vec![bytes(ReleaseIn { fh, ..ReleaseIn::default() })]),
            Op::Setxattr => {
                let set = SetxattrIn { size: 1, ..SetxattrIn::default() };
                (Opcode::Setxattr, vec![bytes(set), name(b"user.x"), b"y".to_vec()])
            }
            Op::Removexattr => (Opcode::Removexattr, vec![name(b"user.x")]),
        };
        let bodies: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
        self.send(thread, op, node, &bodies, |guest| guest.may(request.op, (node, &first), (other, &second)))
    }

    /// Whether the actor's request may succeed.
    fn may(&self, op: Op, first: (u64, &[u8]), second: (u64, &[u8])) -> bool {
        match op {
            // Whose the request is makes no difference: it is the guest's kernel's.
            Op::Lookup | Op::Forget | Op::Getattr | Op::Setattr | Op::Opendir | Op::Flush | Op::Release => {
                true
            }
            Op::Mknod => self.creates(first.0, first.1, false),
            Op::Mkdir => self.creates(first.0, first.1, true),
            Op::Unlink => self.deletes(first.0, first.1, false),
            Op::Rmdir => self.deletes(first.0, first.1, true),
            Op::Rename => self.moves(first, second),
            Op::Open => self.closes(),
            _ => false,
        }
    }

    /// Sends it; if it is the actor's it may only succeed if it may, or if the change that lets it is on its way, and changes
    /// nothing.
    pub fn send(
        &mut self,
        thread: u32,
        op: Opcode,
        node: u64,
        bodies: &[&[u8]],
        may: impl Fn(&Self) -> bool,
    ) -> Result<Vec<u8>, i32> {
        let is_actor = self.is_actor(thread) && !matches!(op, Opcode::Forget);
        let before = is_actor.then(|| self.everything());
        let expected = may(self);
        let answer = self.client.ask(thread, op, node, bodies);
        if let Some(before) = before {
            if !expected && answer.is_ok() {
                self.connection.settle();
                assert!(may(self), "{op:?} of {node} while told of {:?}", self.told());
            }
            assert_eq!(self.everything(), before, "{op:?} of {node} changed something");
        }
        if let Ok(answer) = &answer {
            self.remember(op, answer);
        }
        answer
    }

    fn remember(&mut self, op: Opcode, answer: &[u8]) {
        use Opcode::*;
        if matches!(op, Lookup | Mknod | Mkdir | Symlink | Link | Create | TmpFile)
            && let Some(node) = node_of(answer)
            && !self.nodes.contains(&node)
            && self.nodes.len() < 100
        {
            self.nodes.push(node);
        }
        if matches!(op, Open | Opendir | Create | TmpFile) {
            self.handles.extend(handle_of(answer));
        }
    }

    fn name(&self, number: u8) -> Vec<u8> {
        let number = usize::from(number) % (NAMES.len() + 1);
        let told = || match self.told() {
            Some(Change::Created { at, .. } | Change::Deleted { at, .. } | Change::Touched { at, .. }) => {
                name(&at.name)
            }
            Some(Change::Moved { from, to, .. }) => {
                from.as_ref().or(to.as_ref()).map_or_else(|| name(b"a"), |at| name(&at.name))
            }
            _ => name(b"c"),
        };
        NAMES.get(number).map_or_else(told, |text| name(text.as_bytes()))
    }

    fn creates(&self, node: u64, name: &[u8], is_directory: bool) -> bool {
        matches!(self.told(), Some(Change::Created { at, directory })
            if *directory == is_directory && is(at, node, name))
    }

    fn deletes(&self, node: u64, name: &[u8], is_directory: bool) -> bool {
        match self.told() {
            Some(Change::Deleted { at, directory }) => *directory == is_directory && is(at, node, name),
            Some(Change::DeletedItself { directory, .. }) => {
                *directory == is_directory && is(&stage(ENTRANCE), node, name)
            }
            _ => false,
        }
    }

    /// A move has two ends, and each may be the one that is watched or backstage.
    fn moves(&self, from: (u64, &[u8]), to: (u64, &[u8])) -> bool {
        let either = |at: Option<&Place>, outside, (node, name): (u64, &[u8])| {
            at.is_some_and(|at| is(at, node, name)) || is(&stage(outside), node, name)
        };
        match self.told() {
            Some(Change::Moved { from: old, to: new, .. }) => {
                either(old.as_ref(), ENTRANCE, from) && either(new.as_ref(), EXIT, to)
            }
            Some(Change::MovedItself { .. }) => either(None, ENTRANCE, from) && either(None, EXIT, to),
            _ => false,
        }
    }

    fn closes(&self) -> bool {
        matches!(
            self.told(),
            Some(
                Change::Touched { how: Touch::Closed, .. } | Change::TouchedItself { how: Touch::Closed, .. }
            )
        )
    }
}

/// What a file is opened with: to read or write, cut or not, and never waiting.
fn flags(value: u32) -> u32 {
    let known = libc::O_ACCMODE | libc::O_TRUNC | libc::O_APPEND | libc::O_EXCL | libc::O_DIRECTORY;
    value & known as u32 | libc::O_NONBLOCK as u32
}

pub fn bytes(object: impl ByteValued) -> Vec<u8> {
    object.as_slice().to_vec()
}

fn stage(outside: &str) -> Place {
    Place { node: STAGE, name: outside.as_bytes().to_vec() }
}

fn is(place: &Place, node: u64, name: &[u8]) -> bool {
    place.node == node && name.strip_suffix(b"\0") == Some(&place.name)
}
