//! Which stage1 the user wants.

use std::path::PathBuf;

/// Which stage1 the user wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The one that belongs to this rkt.
    Default,
    /// An image at a URL.
    Url(String),
    /// A file.
    Path(PathBuf),
    /// An image of this name.
    Name(String),
    /// An image in the store.
    Hash(String),
    /// A file in the directory of stage1 images.
    FromDir(String),
}

/// Short for the default stage1.
const KVM: &str = "kvm";

impl Choice {
    /// The stage1 the user names.
    pub fn named(name: &str) -> Self {
        if name == KVM { Self::Default } else { Self::Name(name.to_owned()) }
    }
}
