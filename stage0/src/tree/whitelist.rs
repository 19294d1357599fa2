//! `pathWhitelist`: which of the merged paths stay (appc spec, "Image Manifest Schema").

use crate::archive::name::{NameError, RelPath};
use std::collections::BTreeSet;
use std::ffi::OsStr;

/// The paths an image keeps of itself and its dependencies.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Whitelist {
    listed: BTreeSet<RelPath>,
}

impl Whitelist {
    /// Takes a manifest's list; `None` if it is empty, which keeps everything.
    pub fn new(paths: &[String]) -> Result<Option<Self>, NameError> {
        if paths.is_empty() {
            return Ok(None);
        }
        let parse = |path: &String| RelPath::parse(path.trim_start_matches('/').as_bytes());
        Ok(Some(Whitelist { listed: paths.iter().map(parse).collect::<Result<_, _>>()? }))
    }

    /// Whether `path` stays: listed itself, or a directory on the way to something listed.
    pub fn keeps(&self, path: &RelPath, directory: bool) -> bool {
        if self.listed.contains(path) {
            return true;
        }
        // What is listed below `a` sorts in one run from `a/` on.
        let below = path.join(OsStr::new(""));
        let next = self.listed.range(&below..).next();
        directory
            && (path.is_root() || next.is_some_and(|next| next.as_bytes().starts_with(below.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(s: &str) -> RelPath {
        RelPath::parse(s.as_bytes()).unwrap()
    }

    #[test]
    fn listed_files_and_their_directories_stay() {
        let list = Whitelist::new(&["/usr/bin/sh".into(), "/usr-x".into(), "/var/".into()]).unwrap().unwrap();
        for (name, directory, kept) in [
            ("usr/bin/sh", false, true),
            ("usr/bin", true, true),
            ("usr/bin", false, false),
            ("usr", true, true),
            ("", true, true),
            ("usr/bin/ls", false, false),
            ("usr/lib", true, false),
            ("usr-x", false, true),
            ("var", true, true),
            ("var/log", true, false),
            ("us", true, false),
        ] {
            assert_eq!(list.keeps(&path(name), directory), kept, "{name}");
        }
        assert_eq!(Whitelist::new(&[]).unwrap(), None);
        assert!(Whitelist::new(&["/a/../b".into()]).is_err());
    }
}
