//! Looking up many paths of a stack.

use super::{Stack, is_dir};
use crate::archive::beneath::BeneathError;
use crate::archive::name::RelPath;
use rustix::fs::Stat;

/// Looks up one path after another and keeps what it learned about the directories on the way to the last: an image
/// may nest thousands of them, and starting at the root each time would take their number squared.
#[derive(Debug)]
pub struct Descent<'a> {
    stack: &'a Stack,
    from: usize,
    path: RelPath,
    /// What provides the root and each further part of `path`.
    steps: Vec<Vec<(usize, Stat)>>,
}

impl<'a> Descent<'a> {
    /// Through the layers from number `from` down. Nothing above is looked at.
    pub fn new(stack: &'a Stack, from: usize) -> Self {
        Descent { stack, from, path: RelPath::default(), steps: Vec::new() }
    }

    /// What the layers have at `path`, each with its number: the topmost first; one that is no directory, or opaque,
    /// is the last.
    pub fn providers(&mut self, path: &RelPath) -> Result<&[(usize, Stat)], BeneathError> {
        if self.steps.is_empty() {
            let all: Vec<usize> = (self.from..self.stack.depth()).collect();
            self.steps.push(self.stack.providers_among(&all, &RelPath::default())?);
        }
        let depth = path.components().count();
        let shared = self.path.components().zip(path.components()).take_while(|(a, b)| a == b).count();
        // A directory on the way to the last path leaves everything known.
        if shared < depth {
            self.steps.truncate(shared + 1);
            let mut missing = ancestors(path, depth - shared + 1);
            self.path = missing.pop().unwrap_or_default();
            for path in missing.into_iter().rev() {
                // A layer counts while nothing above hides it at this path or at a directory on the way.
                let last = self.steps.last().map_or(&[][..], Vec::as_slice);
                let within: Vec<usize> =
                    last.iter().filter(|(_, stat)| is_dir(stat)).map(|(layer, _)| *layer).collect();
                let found = self.stack.providers_among(&within, &path)?;
                self.steps.push(found);
                self.path = path;
            }
        }
        Ok(self.steps.get(depth).map_or(&[], Vec::as_slice))
    }
}

/// A path and its parents, `count` in all, deepest first.
fn ancestors(path: &RelPath, count: usize) -> Vec<RelPath> {
    let parent = |path: &RelPath| path.split().map(|(dir, _)| dir);
    std::iter::successors(Some(path.clone()), parent).take(count).collect()
}
