//! What apps write, kept: in files of the pod's directory, and by journald where it runs.
//!
//! Written by the threads that move the output on, before they wait for its reader: a pod whose reader is stuck still
//! has in its log what the app wrote. A log that cannot be written never stops an app.

mod file;
mod journal;
mod record;

use std::{
    io,
    os::fd::OwnedFd,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use agent::protocol::StreamKind;
use rustix::{
    fs::{Mode, OFlags, mkdir, open},
    io::Errno,
};

use self::file::RotatingFile;
pub use self::journal::Journal;

/// Readable by root and the group `rkt`.
const DIRECTORY_MODE: u32 = 0o750;

/// The logs of a pod.
#[derive(Debug, Clone)]
pub struct Logs {
    directory: Option<Arc<OwnedFd>>,
    journal: Option<Arc<Journal>>,
}

/// The log of an app, shared by its streams.
#[derive(Debug)]
pub struct AppLog {
    app: String,
    state: Mutex<State>,
    journal: Option<Arc<Journal>>,
}

#[derive(Debug)]
struct State {
    file: Option<RotatingFile>,
    complained: bool,
}

impl Logs {
    /// Makes the directory `path` for logs of a pod, which go to `journal`, too. When that fails there are no files, and only the error
    /// to be told.
    pub fn open(path: &Path, journal: Option<Journal>) -> (Self, Option<io::Error>) {
        let journal = journal.map(Arc::new);
        match open_directory(path) {
            Ok(directory) => (Logs { directory: Some(Arc::new(directory)), journal }, None),
            Err(error) => (Logs { directory: None, journal }, Some(error)),
        }
    }

    /// Nothing is kept.
    #[cfg(test)]
    pub fn none() -> Self {
        Logs { directory: None, journal: None }
    }

    /// The log of an app.
    pub fn of_app(&self, app: &str) -> AppLog {
        let file = self.directory.clone().map(|directory| RotatingFile::new(directory, format!("{app}.log")));
        AppLog {
            app: app.to_owned(),
            state: Mutex::new(State { file, complained: false }),
            journal: self.journal.clone(),
        }
    }
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    match mkdir(path, Mode::from_raw_mode(DIRECTORY_MODE)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(open(path, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

impl AppLog {
    /// Keeps what came over a stream, as it came. Fails once, the first time that something is lost.
    pub fn write(&self, stream: StreamKind, bytes: &[u8]) -> io::Result<()> {
        if let Some(journal) = &self.journal {
            journal.send(&self.app, stream, bytes);
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = &mut state.file else { return Ok(()) };
        match file.write(&record::records(SystemTime::now(), stream, bytes)) {
            Err(error) if !state.complained => {
                state.complained = true;
                Err(error)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn both_streams_share_a_file() {
        let root = tempfile::tempdir().unwrap();
        let (logs, error) = Logs::open(&root.path().join("logs"), None);
        assert!(error.is_none());
        let log = logs.of_app("web");
        log.write(StreamKind::Stdout, b"one\ntwo").unwrap();
        log.write(StreamKind::Stderr, b"three\n").unwrap();
        let text = fs::read_to_string(root.path().join("logs/web.log")).unwrap();
        let lines: Vec<_> = text.lines().map(|line| line.split_once(' ').unwrap().1).collect();
        assert_eq!(lines, ["stdout F one", "stdout P two", "stderr F three"]);
    }

    #[test]
    fn failure_is_told_once() {
        let root = tempfile::tempdir().unwrap();
        let (logs, _) = Logs::open(&root.path().join("logs"), None);
        // A directory where the file should be.
        fs::create_dir(root.path().join("logs/web.log")).unwrap();
        let log = logs.of_app("web");
        assert!(log.write(StreamKind::Stdout, b"lost\n").is_err());
        assert!(log.write(StreamKind::Stdout, b"lost, too\n").is_ok());
        fs::remove_dir(root.path().join("logs/web.log")).unwrap();
        log.write(StreamKind::Stdout, b"kept\n").unwrap();
        assert!(fs::read_to_string(root.path().join("logs/web.log")).unwrap().ends_with("kept\n"));
        let (_, error) = Logs::open(Path::new("/proc/none"), None);
        assert!(error.is_some());
    }
}
