//! Is a rendered tree still what was rendered?

use super::{ROOTFS, RenderError, Tree, hash, remove_tree};
use crate::store::{Key, Store};

/// What looking at an image's tree found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is what was rendered.
    Intact,
    /// There is no tree.
    NotRendered,
    /// Something in it changed; it was rendered anew. Holds the ids of what had changed.
    Rebuilt(Vec<String>),
}

impl Store {
    /// Compares the image's tree with the digests recorded when it was rendered. `damaged` is told of a difference
    /// before the tree is rendered anew.
    pub fn verify(&self, key: &Key, damaged: impl FnOnce(&[String])) -> Result<Verdict, RenderError> {
        let Some(tree) = self.rendered(&self.tree_id(key)?)? else { return Ok(Verdict::NotRendered) };
        let changed = changed(&tree)?;
        if changed.is_empty() {
            return Ok(Verdict::Intact);
        }
        damaged(&changed);
        for id in &changed {
            remove_tree(self, id)?;
        }
        // The image's own directory was composed of all layers.
        remove_tree(self, tree.id())?;
        self.render(key)?;
        Ok(Verdict::Rebuilt(changed))
    }
}

/// The ids of the tree and its layers that are not what was recorded.
fn changed(tree: &Tree) -> Result<Vec<String>, RenderError> {
    let mut out = Vec::new();
    for dir in tree.lowers().iter().filter_map(|rootfs| rootfs.parent()) {
        let intact = match hash::recorded(dir) {
            Ok(recorded) => hash::sum(&dir.join(ROOTFS))? == recorded,
            // Without a readable record nothing is certain.
            Err(_) => false,
        };
        if !intact && let Some(id) = dir.file_name() {
            out.push(id.to_string_lossy().into_owned());
        }
    }
    Ok(out)
}
