//! `inotify` and `fanotify` of changes that the host makes in volumes.
//!
//! ```text
//! app ── inotify_add_watch ── Listener ── Relay ── vsock ── host, which watches the same file
//!                                          │ ▲
//!                        Resolver: which? ─┘ └─ Actor: makes the change that the host tells of
//! ```
//!
//! Threads of the agent, because they may have to wait: the resolver for a file system that an app serves, the actor for what
//! apps do in a directory. No process of an app can end them. They have a table of descriptors of their own, which no child
//! inherits, use no lock that a child could find taken, and change nothing of the agent's.

mod actor;
mod answer;
mod call;
mod fdinfo;
mod handle;
mod host;
mod listener;
mod looks;
mod nodes;
mod relay;
mod resolver;
mod scan;
mod volumes;

use std::io;
use std::os::fd::{AsFd, IntoRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::Builder;

use agent::protocol::{PodSpec, WATCH_PORT};
use appc::VolumeKind;
use nix::sched::{CloneFlags, unshare};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow};

use crate::host::{Dial, Vsock};

/// The stack of a thread, in bytes.
const STACK: usize = 128 << 10;

/// What is watched in the pod's volumes, if that is known.
#[derive(Debug, Default)]
pub struct Watches(Option<Arc<Bell>>);

/// Wakes the relay.
#[derive(Debug)]
struct Bell {
    event: EventFd,
    look_again: AtomicBool,
}

impl Bell {
    fn ring(&self) {
        // Fails when the counter is at its limit: then nobody sleeps.
        let _ = self.event.write(1);
    }
}

impl Watches {
    /// Learns what the pod's apps watch from now on, if there are volumes of the host that they could watch.
    pub fn of(spec: &PodSpec) -> io::Result<Self> {
        let of_pod = spec.manifest.volumes.iter();
        let of_apps = spec
            .manifest
            .apps
            .iter()
            .flat_map(|app| &app.mounts)
            .filter_map(|mount| mount.app_volume.as_ref());
        let of_host = of_pod.chain(of_apps).any(|volume| matches!(volume.kind, VolumeKind::Host { .. }));
        if of_host || spec.mutable { Self::start() } else { Ok(Self::default()) }
    }

    fn start() -> io::Result<Self> {
        // Each file that is watched is an open one.
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
        let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let bell = Arc::new(Bell { event, look_again: AtomicBool::new(false) });
        // Before there are apps: the host listens to whoever comes first.
        let host = Vsock.dial(WATCH_PORT)?;
        let (give, take) = channel::<(OwnedFd, OwnedFd)>();
        let theirs = Arc::clone(&bell);
        let run = move || {
            // Without a filter there is nothing to do.
            let Ok((listener, host)) = take.recv() else { return };
            if unshare(CloneFlags::CLONE_FILES).is_ok()
                && let Ok(relay) = relay::Relay::start(listener, host, theirs)
            {
                relay.run();
            }
        };
        // Signals are the main thread's: one that another took would be lost to it.
        let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        let started = Builder::new().name("watch".into()).stack_size(STACK).spawn(run);
        before.thread_set_mask()?;
        started?;
        let listener = listener::install()?;
        let theirs = listener.as_fd().try_clone_to_owned()?;
        // Were the last one closed, the calls it hears would not exist any more.
        let _ = listener.into_raw_fd();
        give.send((theirs, host)).map_err(io::Error::other)?;
        Ok(Self(Some(bell)))
    }

    /// Processes have ended: what they watched may be of interest to nobody.
    pub fn look_again(&self) {
        if let Some(bell) = &self.0 {
            bell.look_again.store(true, Ordering::SeqCst);
            bell.ring();
        }
    }
}
