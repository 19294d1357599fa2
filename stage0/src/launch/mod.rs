//! From images to a running pod and back: filling the pod's directory, mounting its overlays, handing over to stage1,
//! and making an image of what an app has left.

mod change;
mod compatibility;
mod export;
mod prepare;
mod start;

pub use change::{clear_app, place_app};
pub use compatibility::{IncompatibleImage, check_image};
pub use export::export;
pub use prepare::{Preparation, prepare};
pub use start::{Start, start};

use crate::pod::PodError;
use crate::stage1::{CallError, InterfaceError};
use crate::store::StoreError;
use crate::tree::{ExportError, RenderError};
use std::path::PathBuf;

/// Why a pod cannot be prepared or started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The pod's directory cannot be used.
    #[error(transparent)]
    Pod(#[from] PodError),
    /// The image store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An image cannot be rendered.
    #[error("Cannot prepare the image of app \"{app}\"")]
    Render {
        /// The app, or `stage1`.
        app: String,
        /// The cause.
        source: RenderError,
    },
    /// An image cannot run here.
    #[error("Cannot run the image of app \"{app}\"")]
    Incompatible {
        /// The app.
        app: String,
        /// The cause.
        source: IncompatibleImage,
    },
    /// A tree that the pod was prepared with is gone.
    #[error("Tree \"{tree}\" of app \"{app}\" is not in the tree store: remove the pod and prepare it again")]
    NoTree {
        /// The app, or `stage1`.
        app: String,
        /// The tree's id.
        tree: String,
    },
    /// The pod does not say which tree it was prepared with.
    #[error("The pod does not name the tree of app \"{0}\": remove it and prepare it again")]
    UnnamedTree(String),
    /// Something is still mounted in a copied root file system.
    #[error("\"{}\" is still mounted: unmount it first", .0.display())]
    Mounted(PathBuf),
    /// The app's files cannot be written as an image.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// stage1 cannot be used.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// stage1 cannot be started.
    #[error(transparent)]
    Call(#[from] CallError),
}
