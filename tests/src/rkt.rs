//! An `rkt` as a user has it: the release binary, with a data directory of its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::host;
use crate::process::{self, Finished, Running};
use crate::seed;

/// What one command may take before it counts as hung, unless a test says otherwise. Emulated, a pod takes seconds to boot.
const LIMIT: Duration = Duration::from_secs(120);

/// The binary under test together with a fresh data directory, which is removed at the end.
#[derive(Debug)]
pub struct Rkt {
    binary: PathBuf,
    dir: TempDir,
    local_config: Option<PathBuf>,
    limit: Duration,
}

impl Rkt {
    /// One whose store holds stage1, and nothing else: as where a pod has run before.
    ///
    /// # Panics
    /// Outside the KVM host.
    pub fn new() -> Self {
        let rkt = Self::empty();
        seed::stage1_into(rkt.dir(), &rkt.binary);
        rkt
    }

    /// One that has never run.
    ///
    /// # Panics
    /// Outside the KVM host.
    pub fn empty() -> Self {
        let dir =
            tempfile::Builder::new().prefix("rkt-").tempdir_in(host::data_dir()).expect("a data directory");
        Self { binary: host::path("RKT_BINARY"), dir, local_config: None, limit: LIMIT }
    }

    /// The same with another time limit on each command.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The same with the `--local-config` of every command.
    #[must_use]
    pub fn local_config(mut self, directory: &Path) -> Self {
        self.local_config = Some(directory.to_owned());
        self
    }

    /// The binary under test.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Its data directory, the `--dir` of every command.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A command of it, not started: for what [`Self::run`] and [`Self::start`] do not offer.
    pub fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg(format!("--dir={}", self.dir().display())).arg("--insecure-options=image");
        command.args(self.local_config.iter().map(|path| format!("--local-config={}", path.display())));
        command.args(args);
        command
    }

    /// Runs a command to its end: `rkt.run(["image", "list"])`.
    ///
    /// # Panics
    /// When it takes too long.
    #[track_caller]
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Finished {
        process::run(self.command(args), self.limit)
    }

    /// Starts a command with its standard input piped, and leaves it running.
    ///
    /// # Panics
    /// When it cannot start.
    #[track_caller]
    pub fn start<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Running {
        let mut command = self.command(args);
        command.stdin(Stdio::piped());
        Running::start(command, self.limit)
    }

    /// Runs a shell script in a pod of the busybox image, without network, to its end.
    ///
    /// # Panics
    /// When it takes too long.
    #[track_caller]
    pub fn run_script(&self, script: &str) -> Finished {
        let image = crate::aci::busybox();
        let run = ["run", "--net=none"].map(OsStr::new);
        let app = ["--exec", "/bin/sh", "--", "-c", script].map(OsStr::new);
        self.run(run.into_iter().chain([image.as_os_str()]).chain(app))
    }
}

impl Default for Rkt {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Rkt {
    /// What the pods left mounted would keep the directory from being removed.
    fn drop(&mut self) {
        let _ = process::run(self.command(["gc", "--grace-period=0s"]), self.limit);
    }
}
