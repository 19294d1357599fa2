//! App container images made on the spot.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::host;

/// What a dynamic Rust program needs of Debian.
const LIBRARIES: [&str; 3] =
    ["lib64/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu/libc.so.6", "lib/x86_64-linux-gnu/libgcc_s.so.1"];

/// An image being put together: a manifest and a root file system, packed by [`Aci::write`].
#[derive(Debug)]
pub struct Aci {
    manifest: Value,
    entries: Vec<(PathBuf, Entry)>,
    owned: Vec<(PathBuf, (u64, u64))>,
}

#[derive(Debug)]
enum Entry {
    Directory(u32),
    File(Vec<u8>, u32),
    Symlink(PathBuf),
}

impl Aci {
    /// An image called `name` whose app executes `exec` as root.
    pub fn new(name: &str, exec: &[&str]) -> Self {
        let manifest = json!({
            "acKind": "ImageManifest",
            "acVersion": "0.8.11",
            "name": name,
            "labels": [
                { "name": "version", "value": "1.0.0" },
                { "name": "arch", "value": "amd64" },
                { "name": "os", "value": "linux" },
            ],
            "app": { "exec": exec, "user": "0", "group": "0" },
        });
        Self { manifest, entries: Vec::new(), owned: Vec::new() }
    }

    /// An image called `name` with a shell and all of busybox in `/bin`, executing `exec`.
    ///
    /// # Panics
    /// When Debian's busybox-static is not installed.
    pub fn with_busybox(name: &str, exec: &[&str]) -> Self {
        let busybox = std::fs::read("/bin/busybox").expect("busybox-static is installed");
        let listed = Command::new("/bin/busybox").arg("--list").output().expect("busybox runs");
        let mut image = Self::new(name, exec);
        for dir in ["bin", "dev", "etc", "proc", "root", "sys", "tmp", "usr", "var"] {
            image = image.directory(dir, if dir == "tmp" { 0o1777 } else { 0o755 });
        }
        image = image
            .file("bin/busybox", busybox, 0o755)
            .file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n", 0o644)
            .file("etc/group", "root:x:0:\nnogroup:x:65534:\n", 0o644);
        let applets = String::from_utf8(listed.stdout).expect("applets are ASCII");
        for applet in applets.lines().filter(|applet| *applet != "busybox") {
            image = image.symlink(&format!("bin/{applet}"), "busybox");
        }
        image
    }

    /// With a field of the manifest's `app` set: `.app("workingDirectory", json!("/tmp"))`.
    #[must_use]
    pub fn app(mut self, field: &str, value: Value) -> Self {
        self.manifest["app"][field] = value;
        self
    }

    /// With a field of the manifest set.
    #[must_use]
    pub fn manifest(mut self, field: &str, value: Value) -> Self {
        self.manifest[field] = value;
        self
    }

    /// With a directory; paths are relative to the image's root.
    #[must_use]
    pub fn directory(self, path: &str, mode: u32) -> Self {
        self.entry(path, Entry::Directory(mode))
    }

    /// With a file.
    #[must_use]
    pub fn file(self, path: &str, content: impl Into<Vec<u8>>, mode: u32) -> Self {
        self.entry(path, Entry::File(content.into(), mode))
    }

    /// With another owner and group for what is at a path; without, all is root's.
    #[must_use]
    pub fn owned_by(mut self, path: &str, owner: u64, group: u64) -> Self {
        self.owned.push((Path::new("rootfs").join(path), (owner, group)));
        self
    }

    /// With a dynamically linked Rust program of this machine, and the libraries it needs.
    ///
    /// # Panics
    /// When one of them cannot be read.
    #[must_use]
    pub fn program(mut self, path: &str, program: &Path) -> Self {
        let read = |path: &Path| {
            std::fs::read(path).unwrap_or_else(|error| panic!("Cannot read {}: {error}", path.display()))
        };
        self = self.file(path, read(program), 0o755);
        for directory in ["lib", "lib64", "lib/x86_64-linux-gnu"] {
            self = self.directory(directory, 0o755);
        }
        for library in LIBRARIES {
            self = self.file(library, read(&Path::new("/").join(library)), 0o755);
        }
        self
    }

    /// With a symbolic link.
    #[must_use]
    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(path, Entry::Symlink(target.into()))
    }

    /// Packs it into `path`, uncompressed, and gives that back.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> PathBuf {
        // Beside and renamed: several test processes may want the same image at the same time.
        let aside = path.with_extension(format!("{}.new", std::process::id()));
        let file =
            File::create(&aside).unwrap_or_else(|error| panic!("Cannot write {}: {error}", aside.display()));
        self.pack(file).unwrap_or_else(|error| panic!("Cannot pack {}: {error}", path.display()));
        std::fs::rename(&aside, path).expect("rename a finished image");
        path.to_owned()
    }

    fn entry(mut self, path: &str, entry: Entry) -> Self {
        self.entries.push((Path::new("rootfs").join(path), entry));
        self
    }

    fn pack(&self, output: impl Write) -> std::io::Result<()> {
        let mut archive = tar::Builder::new(output);
        let manifest = self.manifest.to_string().into_bytes();
        append(&mut archive, Path::new("manifest"), &Entry::File(manifest, 0o644), (0, 0))?;
        append(&mut archive, Path::new("rootfs"), &Entry::Directory(0o755), (0, 0))?;
        for (path, entry) in &self.entries {
            let owner = self.owned.iter().find(|(owned, _)| owned == path);
            append(&mut archive, path, entry, owner.map_or((0, 0), |(_, owner)| *owner))?;
        }
        archive.finish()
    }
}

fn append(
    archive: &mut tar::Builder<impl Write>,
    path: &Path,
    entry: &Entry,
    (owner, group): (u64, u64),
) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_uid(owner);
    header.set_gid(group);
    header.set_size(0);
    match entry {
        Entry::Directory(mode) => {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(*mode);
            archive.append_data(&mut header, path, std::io::empty())
        }
        Entry::File(content, mode) => {
            header.set_mode(*mode);
            header.set_size(content.len() as u64);
            archive.append_data(&mut header, path, content.as_slice())
        }
        Entry::Symlink(target) => {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_mode(0o777);
            archive.append_link(&mut header, path, target)
        }
    }
}

/// The image most tests run: busybox with `/bin/sh`, packed once per host.
///
/// # Panics
/// Outside the KVM host.
pub fn busybox() -> PathBuf {
    let path = host::data_dir().join("busybox.aci");
    if path.exists() { path } else { Aci::with_busybox("example.com/busybox", &["/bin/sh"]).write(&path) }
}
