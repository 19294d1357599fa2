//! `inotify` in the guest, of changes that others make to a volume: the host watches what the guest watches, and relays.
//!
//! ```text
//! host's kernel ── fanotify ── Marks ── changes ── Relay ── vsock ── agent: the actor makes the change
//!                                                    │                          │ FUSE
//!                                                    └── arms ── Phantoms ── Share: nothing is done
//! ```
//!
//! FUSE over virtio has no way to tell a guest's kernel of an event. So the guest's actor makes the change once more in its
//! mount of the volume, for the kernel to tell who watches, and the share answers it without touching a file.

mod changes;
mod event;
mod marks;
pub(super) mod phantoms;
mod relay;

use std::{
    fmt, io,
    os::unix::net::UnixStream,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::Builder,
};

pub(super) use phantoms::Phantoms;

use super::{pool::own_file_system_context, share::Share};
use crate::jail::{Kind, threads};
use relay::Relay;

/// The stack of the thread, in bytes.
const STACK: usize = 256 << 10;

/// What the guest watches in a share. Clones are the same.
#[derive(Clone, Default)]
pub struct Watches(Arc<Shared>);

#[derive(Default)]
struct Shared {
    phantoms: Arc<Phantoms>,
    share: OnceLock<Share>,
    served: AtomicBool,
}

impl Watches {
    /// Tells the guest, over a connection it opened, of changes to what it watches; `say` gets lines for the user. A share that
    /// is not there has no changes, and a guest one connection.
    pub fn serve(&self, stream: UnixStream, say: impl Fn(String) + Send + 'static) -> io::Result<()> {
        let Some(share) = self.0.share.get().cloned() else { return Ok(()) };
        if self.0.served.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        stream.set_nonblocking(true)?;
        let phantoms = self.phantoms();
        let builder = Builder::new().name("watcher".into()).stack_size(STACK);
        threads::spawn(Kind::Watcher, builder, move || {
            own_file_system_context();
            Relay::new(stream, share, phantoms, Box::new(say)).run();
        })?;
        Ok(())
    }

    /// What the guest's actor is answered.
    pub(super) fn phantoms(&self) -> Arc<Phantoms> {
        Arc::clone(&self.0.phantoms)
    }

    /// The share it is about.
    pub(super) fn of(&self, share: &Share) {
        // The first one: each has watches of its own.
        let _ = self.0.share.set(share.clone());
    }
}

impl fmt::Debug for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watches").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
