//! A directory that nothing may leave.

use std::path::PathBuf;

const SECRET: &str = "secret";
const CONTENT: &[u8] = b"nobody changes this";

/// A directory in another one that holds a file nobody may touch.
#[derive(Debug)]
pub struct Cage {
    outside: tempfile::TempDir,
}

impl Default for Cage {
    fn default() -> Self {
        let outside = tempfile::tempdir().expect("a directory");
        std::fs::write(outside.path().join(SECRET), CONTENT).expect("a file");
        std::fs::create_dir(outside.path().join("inside")).expect("a directory");
        Cage { outside }
    }
}

impl Cage {
    /// Where everything must stay.
    pub fn inside(&self) -> PathBuf {
        self.outside.path().join("inside")
    }

    /// Fails if anything got out, then empties the directory, whatever is in it.
    pub fn check(&self) {
        let names = std::fs::read_dir(self.outside.path()).expect("the directory").count();
        assert_eq!(names, 2, "something was made outside");
        let secret = self.outside.path().join(SECRET);
        assert_eq!(std::fs::read(&secret).expect("the file"), CONTENT, "a file outside was changed");
        let links = std::os::unix::fs::MetadataExt::nlink(&std::fs::metadata(&secret).expect("the file"));
        assert_eq!(links, 1, "a file outside was linked to");
        stage0::archive::beneath::remove_tree(self.outside.path(), "inside".as_ref()).expect("removal");
        std::fs::create_dir(self.inside()).expect("a directory");
    }
}
