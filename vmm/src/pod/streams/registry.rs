//! Which streams the pod has, and which of them are open.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use agent::protocol::{AppSpec, Stdio, StreamHeader, StreamKind};

/// The streams a guest may still open, each once.
#[derive(Debug)]
pub struct Registry {
    streams: usize,
    closed: Mutex<HashSet<StreamHeader>>,
}

impl Registry {
    /// The streams of these apps.
    pub fn new(apps: &[AppSpec]) -> Self {
        let of_app = |app: &AppSpec| {
            let name = app.name.clone();
            kinds(app.stdio).iter().map(move |kind| StreamHeader { app: name.clone(), stream: *kind })
        };
        let closed: HashSet<_> = apps.iter().flat_map(of_app).collect();
        Registry { streams: closed.len(), closed: Mutex::new(closed) }
    }

    /// How many streams the pod has, open or not.
    pub fn streams(&self) -> usize {
        self.streams
    }

    /// Opens a stream; false if the pod has no such stream or it was opened before.
    pub fn claim(&self, header: &StreamHeader) -> bool {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner).remove(header)
    }
}

/// The streams of an app whose standard streams are connected so.
pub fn kinds(stdio: Stdio) -> &'static [StreamKind] {
    match stdio {
        Stdio::Output => &[StreamKind::Stdout, StreamKind::Stderr],
        Stdio::Pipes => &[StreamKind::Stdin, StreamKind::Stdout, StreamKind::Stderr],
        Stdio::Terminal { .. } => &[StreamKind::Tty],
    }
}
