//! What a pod's directory tells about it.

use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use appc::{Hash, ImageManifest, PodManifest};
use serde::{Deserialize, Serialize};

use super::{Pod, PodError, State};

/// The largest file of a pod that is read as a whole. stage1 writes some of them, and must not fill our memory.
const MAX_FILE: u64 = 16 << 20;

/// As much as most files of a pod are long.
const USUAL_FILE: usize = 4 << 10;

/// A network of a pod, as stage1 left it in `net-info.json` (reference §8.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
pub struct NetInfo {
    /// The network's name.
    pub net_name: String,
    /// Its configuration file.
    pub net_conf: String,
    /// The plugin that made it.
    pub plugin_path: String,
    /// The pod's interface.
    pub if_name: String,
    /// The pod's address.
    pub ip: String,
    /// Arguments of the plugin.
    pub args: String,
    /// The network mask, dotted.
    pub mask: String,
}

/// How an app ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppStatus {
    /// Its exit status.
    pub code: i32,
    /// When it ended.
    pub finished: SystemTime,
}

/// How an app fares, besides whether it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppCondition {
    /// How many of its processes the guest killed because memory had run out.
    #[serde(default)]
    pub oom_kills: u64,
    /// What its health check says; none if it has none.
    #[serde(default)]
    pub health: Option<AppHealth>,
}

/// What the checks of an app's health came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppHealth {
    /// `starting`, `healthy` or `unhealthy`.
    pub status: String,
    /// How many checks have failed in a row.
    pub failing_streak: u32,
    /// What the last one said; safe to show.
    pub output: String,
}

impl Pod {
    /// The pod's manifest.
    pub fn manifest(&self) -> Result<PodManifest, PodError> {
        let json = self.read("pod")?.ok_or(PodError::Gone(self.uuid()))?;
        PodManifest::from_slice(&json).map_err(|source| PodError::Manifest { uuid: self.uuid(), source })
    }

    /// The manifest of an app's image, if it can be read.
    pub fn image_manifest(&self, app: &str) -> Option<ImageManifest> {
        let json = self.read(&format!("appsinfo/{app}/manifest")).ok()??;
        ImageManifest::from_slice(&json).ok()
    }

    /// When the pod was made.
    pub fn created(&self) -> Option<SystemTime> {
        self.modified("pod-created").or_else(|| self.modified("pod"))
    }

    /// When the pod was started, if it ever was.
    pub fn started(&self) -> Option<SystemTime> {
        self.modified("pid").or_else(|| self.modified("ppid"))
    }

    /// When the pod came to the place it is in: moving a directory changes its inode.
    pub fn in_place_since(&self) -> Option<SystemTime> {
        changed(&std::fs::metadata(self.path()).ok()?)
    }

    /// When the pod was marked for deletion.
    pub fn marked_for_deletion(&self) -> Option<SystemTime> {
        let after = matches!(
            self.state(),
            State::ExitedGarbage | State::ExitedDeleting | State::Garbage | State::Deleting
        );
        after.then(|| self.in_place_since()).flatten()
    }

    /// The process that is the pod's init as the host sees it: stage1 names it, or its only parent.
    pub fn pid(&self) -> Result<Option<i32>, PodError> {
        if let Some(pid) = self.number("pid")? {
            return Ok(Some(pid));
        }
        let Some(parent) = self.number("ppid")? else { return Ok(None) };
        let children = PathBuf::from(format!("/proc/{parent}/task/{parent}/children"));
        Ok(std::fs::read_to_string(children)
            .ok()
            .and_then(|list| list.split_whitespace().next()?.parse().ok()))
    }

    /// The networks stage1 has set up.
    pub fn networks(&self) -> Vec<NetInfo> {
        let json = self.read("net-info.json").ok().flatten();
        json.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
    }

    /// How an app ended, if it did.
    pub fn app_status(&self, app: &str) -> Option<AppStatus> {
        let name = format!("rkt/status/{app}");
        let code = self.read_from(&self.stage1_file(&name)).ok()??;
        let code = std::str::from_utf8(&code).ok()?.trim().parse().ok()?;
        let finished = modified(&self.stage1_file(&name))?;
        Some(AppStatus { code, finished })
    }

    /// How an app fares, if stage1 says something of it.
    pub fn app_condition(&self, app: &str) -> Option<AppCondition> {
        let json = self.read_from(&self.stage1_file(&format!("rkt/status/{app}.condition"))).ok()??;
        serde_json::from_slice(&json).ok()
    }

    /// When an app of a mutable pod was added to it.
    pub fn app_created(&self, app: &str) -> Option<SystemTime> {
        modified(&self.stage1_file(&format!("rkt/status/{app}-created")))
    }

    /// When an app of a mutable pod was started last.
    pub fn app_started(&self, app: &str) -> Option<SystemTime> {
        modified(&self.stage1_file(&format!("rkt/status/{app}-started")))
    }

    /// Whether stage1 reports that the pod's apps have been started.
    pub fn is_ready(&self) -> bool {
        let link = self.stage1_file("rkt/supervisor-status");
        std::fs::read_link(link).is_ok_and(|target| target == Path::new("ready"))
    }

    /// A file that stage1 writes into its root file system. With overlay it is read from the upper layer, which
    /// works after the overlay has been unmounted, too.
    pub fn stage1_file(&self, name: &str) -> PathBuf {
        match self.stage1_overlay() {
            Some(tree) => self.path().join("overlay").join(tree).join("upper").join(name),
            None => self.path().join("stage1/rootfs").join(name),
        }
    }

    /// The tree below stage1's overlay, if it has one: that stays as it is once it is known.
    fn stage1_overlay(&self) -> Option<&str> {
        if self.overlay.get().is_none()
            && let Some(tree) = self.stage1_tree().filter(|_| self.uses_overlay())
        {
            let _ = self.overlay.set(tree);
        }
        self.overlay.get().map(String::as_str)
    }

    /// The tree that stage1 was rendered to.
    pub fn stage1_tree(&self) -> Option<String> {
        self.tree("stage1TreeStoreID")
    }

    /// The tree that an app's image was rendered to. There is none without overlay.
    pub fn app_tree(&self, app: &str) -> Option<String> {
        self.tree(&format!("appsinfo/{app}/treeStoreID"))
    }

    /// Whether the pod was prepared for overlays.
    pub fn uses_overlay(&self) -> bool {
        self.path().join("overlay-prepared").exists()
    }

    /// Ids of the images the pod's apps come from.
    pub fn image_ids(&self) -> Result<Vec<Hash>, PodError> {
        Ok(self.manifest()?.apps.into_iter().map(|app| app.image.id).collect())
    }

    /// After a crash in the preparation there may be nothing in the file.
    fn tree(&self, name: &str) -> Option<String> {
        self.text(name).ok().flatten().filter(|tree| !tree.is_empty())
    }

    fn number(&self, name: &str) -> Result<Option<i32>, PodError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(PodError::Content {
                path: self.path().join(name),
                expected: "a process id",
                found: text.chars().take(32).collect(),
            }),
        }
    }

    fn text(&self, name: &str) -> Result<Option<String>, PodError> {
        let content = self.read(name)?;
        Ok(content.map(|content| String::from_utf8_lossy(&content).trim().to_owned()))
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, PodError> {
        self.read_from(&self.path().join(name))
    }

    fn read_from(&self, path: &Path) -> Result<Option<Vec<u8>>, PodError> {
        match read_bounded(path) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(PodError::io("read", path)(error)),
        }
    }

    fn modified(&self, name: &str) -> Option<SystemTime> {
        modified(&self.path().join(name))
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    // Most files are read at once.
    let mut content = Vec::with_capacity(USUAL_FILE);
    std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_FILE { Err(ErrorKind::FileTooLarge.into()) } else { Ok(content) }
}

/// When a file's inode, a directory's place among them, was last changed.
fn changed(metadata: &Metadata) -> Option<SystemTime> {
    use std::os::unix::fs::MetadataExt;
    let seconds = u64::try_from(metadata.ctime()).ok()?;
    Some(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds))
}
