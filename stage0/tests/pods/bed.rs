//! A data directory, images, and `rkt` working on them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};

/// A stage1 that notes how it was called, does what a variable of the environment says, and cleans up by name.
const STAGE1: &[(&str, &str)] = &[
    (
        "run",
        "#!/bin/sh\n\
         printf '%s\\n' \"$@\" >argv; pwd -P >cwd; env >env; readlink \"/proc/$$/fd/$RKT_LOCK_FD\" >lock\n\
         mkdir -p stage1/rootfs/rkt/status; echo $$ >pid\n\
         eval \"$FAKE_RUN\"\n",
    ),
    ("gc", "#!/bin/sh\necho gc \"$@\" in \"$(pwd -P)\" >>\"$FAKE_LOG\"\neval \"$FAKE_GC\"\n"),
    ("attach", "#!/bin/sh\nprintf '%s\\n' \"$@\"\n"),
    ("enter", "#!/bin/sh\nprintf '%s\\n' \"$0\" \"$(pwd -P)\" \"$@\"; exit 42\n"),
    ("stop", "#!/bin/sh\necho stop \"$@\" >>\"$FAKE_LOG\"\nkill \"$(cat pid)\"\n"),
];

/// A data directory with its images. All is gone when this is dropped.
pub struct Bed {
    dir: tempfile::TempDir,
}

/// What a command left.
pub struct Done {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Bed {
    /// A data directory, a stage1 image and the app image `a.aci`.
    pub fn new() -> Self {
        assert!(rustix::process::geteuid().is_root(), "these tests mount overlays: run them as root");
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        mount("tmpfs", dir.path(), "tmpfs", MountFlags::empty(), Some(c"mode=0755")).unwrap();
        mount_change(dir.path(), MountPropagationFlags::PRIVATE).unwrap();
        let bed = Self { dir };
        bed.stage1("stage1.aci", "6");
        bed.app("a");
        bed
    }

    /// A path in the bed.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Writes a file.
    pub fn write(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// An image from a manifest and the files of its root file system.
    pub fn image(&self, file: &str, manifest: &str, files: &[(&str, &str)]) {
        let archive = std::fs::File::create(self.path(file)).unwrap();
        let mut archive = tar::Builder::new(archive);
        let mut add = |path: &str, content: &str, mode, kind| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(content.len() as u64);
            header.set_mode(mode);
            header.set_uid(0);
            header.set_gid(0);
            archive.append_data(&mut header, path, content.as_bytes()).unwrap();
        };
        add("manifest", manifest, 0o644, tar::EntryType::Regular);
        add("rootfs", "", 0o755, tar::EntryType::Directory);
        for (path, content) in files {
            add(&format!("rootfs/{path}"), content, 0o755, tar::EntryType::Regular);
        }
        archive.finish().unwrap();
    }

    /// A stage1 image with an interface version; its manifest is beside it.
    pub fn stage1(&self, file: &str, version: &str) {
        let mut annotations =
            vec![format!(r#"{{"name":"coreos.com/rkt/stage1/interface-version","value":"{version}"}}"#)];
        for (name, _) in STAGE1 {
            annotations.push(format!(r#"{{"name":"coreos.com/rkt/stage1/{name}","value":"/{name}"}}"#));
        }
        let manifest = format!(
            r#"{{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/stage1-v{version}",
                "labels":[
                {{"name":"version","value":"1"}},{{"name":"os","value":"linux"}},{{"name":"arch","value":"amd64"}}],
                "annotations":[{}]}}"#,
            annotations.join(",")
        );
        self.write(&file.replace(".aci", ".manifest"), &manifest);
        self.stage1_from(file, &manifest);
    }

    /// A stage1 image with this manifest.
    pub fn stage1_from(&self, file: &str, manifest: &str) {
        self.image(file, manifest, STAGE1);
    }

    /// An app image `NAME.aci` named `example.com/NAME:1`.
    pub fn app(&self, name: &str) {
        self.app_with(name, r#""exec":["/bin/hello"],"user":"0","group":"0""#);
    }

    /// An app image with the fields of its app section.
    pub fn app_with(&self, name: &str, app: &str) {
        let manifest = format!(
            r#"{{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/{name}","labels":[
                {{"name":"version","value":"1"}},{{"name":"os","value":"linux"}},{{"name":"arch","value":"amd64"}}],
                "app":{{{app}}}}}"#
        );
        self.image(&format!("{name}.aci"), &manifest, &[("bin/hello", "hello"), ("name", name)]);
    }

    /// `rkt` with this data directory, without a network of its own.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rkt"));
        command.arg(format!("--dir={}", self.data().display())).args(words).current_dir(self.path("."));
        command.env("FAKE_LOG", self.path("log")).stdin(Stdio::null());
        command
    }

    /// Runs `rkt` to its end.
    pub fn rkt(&self, words: &[&str]) -> Done {
        finish(&mut self.command(words))
    }

    /// `rkt VERB` with what fetching from files and choosing the fake stage1 need.
    pub fn pod_command(&self, verb: &str, words: &[&str]) -> Command {
        let mut all = vec!["--insecure-options=image", verb, "--stage1-path=stage1.aci"];
        all.extend_from_slice(words);
        self.command(&all)
    }

    /// Runs a pod whose stage1 executes `script`.
    pub fn run_doing(&self, script: &str, words: &[&str]) -> Done {
        finish(self.pod_command("run", words).env("FAKE_RUN", script))
    }

    /// Runs a pod whose stage1 ends at once.
    pub fn run(&self, words: &[&str]) -> Done {
        self.run_doing("", words)
    }

    /// Prepares a pod and returns its UUID.
    pub fn prepare(&self, words: &[&str]) -> String {
        let done = finish(&mut self.pod_command("prepare", words));
        assert_eq!(done.status, 0, "{}", done.stderr);
        done.stdout.trim().to_owned()
    }

    /// The only pod in a place.
    pub fn pod(&self, place: &str) -> PathBuf {
        let pods = self.pods(place);
        assert_eq!(pods.len(), 1, "{pods:?}");
        pods[0].clone()
    }

    /// The pods in a place.
    pub fn pods(&self, place: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.data().join("pods").join(place)).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// What stage1's other entrypoints wrote.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Mount points below the data directory.
    pub fn mounts(&self) -> Vec<PathBuf> {
        stage0::pod::mounts::mounts_below(&self.data()).unwrap()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // Whatever a failed test left mounted must not outlive it.
        let _ = stage0::pod::mounts::unmount_below(&self.path("."));
    }
}

/// Runs a command to its end.
pub fn finish(command: &mut Command) -> Done {
    let Output { status, stdout, stderr } = command.output().unwrap();
    use std::os::unix::process::ExitStatusExt;
    Done {
        status: status.code().unwrap_or_else(|| 128 + status.signal().unwrap()),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

/// The lines of a file.
pub fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(str::to_owned).collect()
}

/// Waits until something is so, for at most ten seconds.
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("{what}: not within ten seconds");
}
