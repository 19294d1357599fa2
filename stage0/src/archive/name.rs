//! Entry names of archives as paths below a root.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Longest accepted name in bytes, as the kernel's PATH_MAX without the final NUL.
pub const MAX_NAME: usize = 4095;

/// Why a name in an archive cannot be used as a path below the root.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NameError {
    /// The name starts with `/`, and is not the root alone.
    #[error("Name {0:?} is absolute")]
    Absolute(String),
    /// A component is `..`.
    #[error("Name {0:?} has a '..' component")]
    Parent(String),
    /// Longer than [`MAX_NAME`].
    #[error("Name of {0} bytes is longer than {MAX_NAME}")]
    TooLong(usize),
    /// Holds a NUL byte.
    #[error("Name {0:?} holds a NUL byte")]
    Nul(String),
}

/// A path relative to an extraction root: no empty, `.` or `..` components, never absolute. Empty is the root.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, serde::Serialize, serde::Deserialize,
)]
pub struct RelPath(Vec<u8>);

impl RelPath {
    /// Checks and normalises a raw name: `./a//b/` is `a/b`, and `/`, which umoci writes for a layer's root, is the
    /// root.
    pub fn parse(raw: &[u8]) -> Result<Self, NameError> {
        let shown = || String::from_utf8_lossy(&raw[..raw.len().min(256)]).into_owned();
        if raw.len() > MAX_NAME {
            return Err(NameError::TooLong(raw.len()));
        }
        if raw.contains(&0) {
            return Err(NameError::Nul(shown()));
        }
        if raw.first() == Some(&b'/') && raw.len() > 1 {
            return Err(NameError::Absolute(shown()));
        }
        let mut out = Vec::with_capacity(raw.len());
        for part in raw.split(|b| *b == b'/') {
            match part {
                b"" | b"." => continue,
                b".." => return Err(NameError::Parent(shown())),
                _ => {}
            }
            if !out.is_empty() {
                out.push(b'/');
            }
            out.extend_from_slice(part);
        }
        Ok(RelPath(out))
    }

    /// Whether this is the root itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes, components joined by single slashes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As an OS string for system calls; `.` for the root.
    pub fn as_os(&self) -> &OsStr {
        if self.0.is_empty() { OsStr::new(".") } else { OsStr::from_bytes(&self.0) }
    }

    /// Directory part and last component; `None` for the root.
    pub fn split(&self) -> Option<(RelPath, &OsStr)> {
        if self.0.is_empty() {
            return None;
        }
        Some(match self.0.iter().rposition(|b| *b == b'/') {
            Some(at) => (RelPath(self.0[..at].to_vec()), OsStr::from_bytes(&self.0[at + 1..])),
            None => (RelPath::default(), OsStr::from_bytes(&self.0)),
        })
    }

    /// The components, outermost first.
    pub fn components(&self) -> impl Iterator<Item = &OsStr> {
        self.0.split(|b| *b == b'/').filter(|c| !c.is_empty()).map(OsStr::from_bytes)
    }

    /// This path with one more component, which must be a plain name.
    pub fn join(&self, name: &OsStr) -> RelPath {
        let mut bytes = self.0.clone();
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name.as_bytes());
        RelPath(bytes)
    }

    /// This path below `dir`.
    pub fn below(&self, dir: &RelPath) -> RelPath {
        match (dir.is_root(), self.is_root()) {
            (true, _) => self.clone(),
            (_, true) => dir.clone(),
            _ => RelPath([&dir.0[..], b"/", &self.0].concat()),
        }
    }

    /// The rest after a leading component, e.g. `rootfs`; `None` when the path does not start with it.
    pub fn strip(&self, first: &[u8]) -> Option<RelPath> {
        let rest = self.0.strip_prefix(first)?;
        match rest.first() {
            None => Some(RelPath::default()),
            Some(b'/') => Some(RelPath(rest[1..].to_vec())),
            Some(_) => None,
        }
    }
}

impl std::fmt::Display for RelPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn normalises() {
        for (raw, want) in
            [("./a//b/", "a/b"), ("", ""), ("/", ""), (".", ""), ("./", ""), ("a", "a"), ("a/./b", "a/b")]
        {
            assert_eq!(RelPath::parse(raw.as_bytes()).unwrap().as_bytes(), want.as_bytes());
        }
    }

    #[test]
    fn refuses_escapes() {
        for raw in ["/a", "..", "a/../b", "../a", "a/..", "//"] {
            assert!(RelPath::parse(raw.as_bytes()).is_err(), "{raw}");
        }
        assert!(RelPath::parse(&[b'a'; MAX_NAME]).is_ok());
        assert_eq!(RelPath::parse(&[b'a'; MAX_NAME + 1]), Err(NameError::TooLong(MAX_NAME + 1)));
        assert!(RelPath::parse(b"a\0b").is_err());
    }

    #[test]
    fn strips_whole_components_only() {
        let p = |s: &str| RelPath::parse(s.as_bytes()).unwrap();
        assert_eq!(p("rootfs/etc").strip(b"rootfs"), Some(p("etc")));
        assert_eq!(p("rootfs").strip(b"rootfs"), Some(RelPath::default()));
        assert_eq!(p("rootfs2/etc").strip(b"rootfs"), None);
    }

    proptest! {
        #[test]
        fn parsed_paths_never_climb(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(path) = RelPath::parse(&raw) {
                prop_assert!(!path.as_bytes().starts_with(b"/"));
                for c in path.components() {
                    prop_assert!(c != ".." && c != "." && !c.is_empty() && !c.as_bytes().contains(&0));
                }
                prop_assert_eq!(RelPath::parse(path.as_bytes()).unwrap(), path);
            }
        }

        #[test]
        fn split_and_join_agree(raw in "[a-c./]{0,30}") {
            if let Ok(path) = RelPath::parse(raw.as_bytes())
                && let Some((dir, leaf)) = path.split() {
                prop_assert_eq!(dir.join(leaf), path.clone());
            }
        }
    }
}
