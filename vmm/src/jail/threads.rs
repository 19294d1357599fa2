//! Threads that are confined before they do anything.
//!
//! A filter cannot be widened: a thread that a vCPU started would have the vCPU's, and the event loop may start none. So in
//! a closed jail there is one thread that starts all others.

use std::{
    io,
    sync::{
        OnceLock,
        mpsc::{Sender, SyncSender, channel, sync_channel},
    },
    thread::{Builder, JoinHandle},
};

use super::{Kind, confine};

/// What the starter is asked for.
struct Wanted {
    builder: Builder,
    work: Box<dyn FnOnce() + Send>,
    started: SyncSender<io::Result<JoinHandle<()>>>,
}

static STARTER: OnceLock<Sender<Wanted>> = OnceLock::new();

/// Starts a thread of a kind.
pub fn spawn(
    kind: Kind,
    builder: Builder,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let work = move || {
        if let Err(error) = confine(kind) {
            crate::pod::report(&error, false);
            std::process::abort();
        }
        work();
    };
    let Some(starter) = STARTER.get() else { return builder.spawn(work) };
    let (started, answer) = sync_channel(1);
    let gone = |_| io::Error::other("The thread that starts others is gone");
    starter.send(Wanted { builder, work: Box::new(work), started }).map_err(|_| gone(()))?;
    answer.recv().map_err(|_| gone(()))?
}

/// Starts the thread that starts all others from now on.
pub(super) fn start_starter() -> io::Result<()> {
    let (wanted, orders) = channel::<Wanted>();
    let start = move || {
        for Wanted { builder, work, started } in orders {
            // Whoever asked waits for it.
            let _ = started.send(builder.spawn(work));
        }
    };
    spawn(Kind::Starter, Builder::new().name("starter".into()), start)?;
    // Closed once in the life of a process.
    let _ = STARTER.set(wanted);
    Ok(())
}
