//! Which streams the pod has, and which of them are open.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use agent::protocol::{AppSpec, Stdio, StreamHeader, StreamKind};

/// The streams a guest may still open, each once, and those it has open.
#[derive(Debug, Default)]
pub struct Registry {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    closed: HashSet<StreamHeader>,
    open: HashSet<StreamHeader>,
}

impl Registry {
    /// Has the streams of an app that is about to be started; false if those of its last life have not ended yet.
    pub fn expect(&self, app: &AppSpec) -> bool {
        let mut state = self.lock();
        if state.open.iter().any(|header| header.app == app.name) {
            return false;
        }
        state.closed.extend(headers(app));
        true
    }

    /// Opens a stream; false if the pod has no such stream or it was opened before.
    pub fn claim(&self, header: &StreamHeader) -> bool {
        let mut state = self.lock();
        state.closed.remove(header) && state.open.insert(header.clone())
    }

    /// A stream that was claimed has ended.
    pub fn release(&self, header: &StreamHeader) {
        self.lock().open.remove(header);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The streams of an app.
pub fn headers(app: &AppSpec) -> impl Iterator<Item = StreamHeader> {
    kinds(app.stdio).iter().map(|kind| StreamHeader { app: app.name.clone(), stream: *kind })
}

/// The streams of an app whose standard streams are connected so.
pub fn kinds(stdio: Stdio) -> &'static [StreamKind] {
    match stdio {
        Stdio::Output => &[StreamKind::Stdout, StreamKind::Stderr],
        Stdio::Pipes => &[StreamKind::Stdin, StreamKind::Stdout, StreamKind::Stderr],
        Stdio::Terminal { .. } => &[StreamKind::Tty],
    }
}
