//! An image and everything beneath it, in the order in which it is laid down (rkt-reference 6.2).

use super::RenderError;
use super::whitelist::Whitelist;
use crate::store::{Key, Store};
use appc::{Dependency, ImageManifest, Labels};
use std::rc::Rc;

/// Images in one rendering. Dependencies may name each other: each way to an image counts, so that a few
/// manifests could ask for any number.
const MAX_PARTS: usize = 512;
const MAX_DEPTH: usize = 64;

/// One image of a rendering.
#[derive(Debug)]
pub struct Part {
    /// The image.
    pub key: Key,
    /// Lists that must all keep a path: its own and those of the images above.
    pub filters: Vec<Rc<Whitelist>>,
}

impl Part {
    /// Whether `path` stays.
    pub fn keeps(&self, path: &crate::archive::name::RelPath, directory: bool) -> bool {
        self.filters.iter().all(|list| list.keeps(path, directory))
    }
}

/// The images of a rendering, lowest first, the image itself last.
pub fn parts(store: &Store, key: &Key) -> Result<Vec<Part>, RenderError> {
    let mut out = Vec::new();
    collect(store, key, &[], 0, &mut out)?;
    Ok(out)
}

fn collect(
    store: &Store,
    key: &Key,
    above: &[Rc<Whitelist>],
    depth: usize,
    out: &mut Vec<Part>,
) -> Result<(), RenderError> {
    if depth > MAX_DEPTH {
        return Err(RenderError::TooDeep(key.clone()));
    }
    let manifest = store.manifest(key)?;
    let mut filters = above.to_vec();
    filters.extend(Whitelist::new(&manifest.path_whitelist)?.map(Rc::new));
    for dependency in &manifest.dependencies {
        let below = resolve(store, &manifest, dependency)?;
        collect(store, &below, &filters, depth + 1, out)?;
    }
    if out.len() == MAX_PARTS {
        return Err(RenderError::TooManyParts(MAX_PARTS));
    }
    out.push(Part { key: key.clone(), filters });
    Ok(())
}

/// The image a dependency means, which must be in the store by now.
fn resolve(store: &Store, image: &ImageManifest, dependency: &Dependency) -> Result<Key, RenderError> {
    let missing = || RenderError::Dependency {
        image: image.name.to_string(),
        dependency: dependency.image_name.to_string(),
    };
    let key = match &dependency.image_id {
        Some(hash) => store.find_key(hash).map_err(|_| missing())?,
        None => store.find_name(&dependency.image_name, &dependency.labels)?.ok_or_else(missing)?,
    };
    let found = store.manifest(&key)?;
    let fits = found.name == dependency.image_name && has(&found.labels, &dependency.labels);
    if fits { Ok(key) } else { Err(missing()) }
}

fn has(labels: &Labels, wanted: &Labels) -> bool {
    wanted.iter().all(|l| labels.get(l.name.as_str()) == Some(l.value.as_str()))
}

/// The id of the tree that these parts make.
pub fn tree_id(parts: &[Part]) -> String {
    let keys: Vec<&str> = parts.iter().rev().map(|p| p.key.as_str()).collect();
    format!("deps-{}", Key::of(keys.join(",").as_bytes()))
}
