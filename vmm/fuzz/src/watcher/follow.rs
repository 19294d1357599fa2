//! What the actor is there for.

use agent::protocol::{Change, ENTRANCE, EXIT, Place, Touch};
use virtiofsd::fuse::{GetattrIn, MkdirIn, MknodIn, Opcode, OpenIn, Rename2In, SetattrIn};
use vm_memory::ByteValued;

use super::{
    Guest,
    requests::{STAGE, bytes},
};
use crate::fuse::{name, node_of};

impl Guest<'_> {
    /// Makes the change that it has been told of, as its kernel would ask for it.
    pub fn follow(&mut self) {
        let Some(change) = self.told().cloned().filter(|_| self.is_actor(self.actor)) else { return };
        let at = |place: &Place| (place.node, name(&place.name));
        let backstage = |outside: &str| (STAGE, name(outside.as_bytes()));
        match &change {
            Change::Created { at: place, directory } => {
                self.find(&at(place)).expect_err("What is to be made is there");
                let op = if *directory { Opcode::Mkdir } else { Opcode::Mknod };
                let body = if *directory { bytes(MkdirIn::default()) } else { bytes(MknodIn::default()) };
                self.succeed(op, place.node, &[&body, &at(place).1]);
            }
            Change::Deleted { at: place, directory } => self.remove(&at(place), *directory),
            Change::DeletedItself { directory, .. } => self.remove(&backstage(ENTRANCE), *directory),
            Change::Moved { from, to, .. } => {
                let from = from.as_ref().map_or_else(|| backstage(ENTRANCE), at);
                let to = to.as_ref().map_or_else(|| backstage(EXIT), at);
                self.rename(&from, &to);
            }
            Change::MovedItself { .. } => self.rename(&backstage(ENTRANCE), &backstage(EXIT)),
            Change::Touched { at: place, how, .. } => {
                if let Ok(answer) = self.find(&at(place)) {
                    self.touch(node_of(&answer).expect("a node"), *how);
                }
            }
            Change::TouchedItself { node, how } => self.touch(*node, *how),
        }
    }

    fn find(&mut self, (node, name): &(u64, Vec<u8>)) -> Result<Vec<u8>, i32> {
        self.send(self.actor, Opcode::Lookup, *node, &[name], |_| true)
    }

    fn remove(&mut self, at: &(u64, Vec<u8>), directory: bool) {
        self.find(at).expect("what is to be removed");
        self.succeed(if directory { Opcode::Rmdir } else { Opcode::Unlink }, at.0, &[&at.1]);
    }

    fn rename(&mut self, from: &(u64, Vec<u8>), to: &(u64, Vec<u8>)) {
        self.find(from).expect("what is to be moved");
        let rename = Rename2In { newdir: to.0, flags: 0, padding: 0 };
        self.succeed(Opcode::Rename2, from.0, &[rename.as_slice(), &from.1, &to.1]);
    }

    fn touch(&mut self, node: u64, how: Touch) {
        if how == Touch::Closed {
            let open = OpenIn { flags: libc::O_WRONLY as u32, open_flags: 0 };
            self.succeed(Opcode::Open, node, &[open.as_slice()]);
            return;
        }
        let look = self.send(self.actor, Opcode::Getattr, node, &[GetattrIn::default().as_slice()], |_| true);
        // The file may have gone, or have been forgotten.
        if look.is_ok() {
            self.succeed(
                Opcode::Setattr,
                node,
                &[SetattrIn { valid: 1 << 8, ..SetattrIn::default() }.as_slice()],
            );
        }
    }

    fn succeed(&mut self, op: Opcode, node: u64, bodies: &[&[u8]]) {
        let told = self.told().cloned();
        self.send(self.actor, op, node, bodies, |_| true)
            .unwrap_or_else(|error| panic!("{op:?} fails with {error} while told of {told:?}"));
    }
}
