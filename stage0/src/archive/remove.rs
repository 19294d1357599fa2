//! Removing directories of any shape: what an image or an app made may be deeper than paths are long, and than there are
//! descriptors or stack to walk it with.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

/// How deep the walk goes, each level with a descriptor or two. What is deeper is lifted to the top first.
const MAX_DEPTH: usize = 100;
/// How often a directory may turn out not to be empty although nothing was lifted to it: somebody fills it meanwhile, such
/// as the guest of a running pod whose app is removed.
const MAX_REFILLS: usize = 16;

/// Removes the directory `name` of `parent` with everything below. Nothing may be mounted there. Interrupted, what is left
/// can be removed by another call.
pub fn directory(parent: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    let Some(top) = open(parent, name)? else { return Ok(()) };
    let below = open(parent, name)?;
    Walk { top, lifted: 0 }.empty(parent, name, below, 0)
}

#[derive(Debug)]
struct Walk {
    top: OwnedFd,
    /// How many names were given to lifted directories.
    lifted: u64,
}

impl Walk {
    /// Removes the directory `name` of `parent`, open as `dir`, and what is in it.
    fn empty(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CStr,
        dir: Option<OwnedFd>,
        depth: usize,
    ) -> Result<(), Errno> {
        let Some(dir) = dir else { return Ok(()) };
        let mut refills = 0;
        loop {
            let lifted = self.lifted;
            self.pass(&dir, depth)?;
            match gone(fs::unlinkat(parent, name, AtFlags::REMOVEDIR)) {
                Err(Errno::NOTEMPTY | Errno::EXIST) if lifted != self.lifted => {}
                // Some file systems pass entries over while others are removed, too.
                Err(Errno::NOTEMPTY | Errno::EXIST) if refills < MAX_REFILLS => refills += 1,
                result => return result,
            }
        }
    }

    /// Removes the entries of `dir` that one reading shows.
    fn pass(&mut self, dir: &OwnedFd, depth: usize) -> Result<(), Errno> {
        for entry in Dir::read_from(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if [c".", c".."].contains(&name) {
                continue;
            }
            if entry.file_type() != FileType::Directory {
                match gone(fs::unlinkat(dir, name, AtFlags::empty())) {
                    // The file system did not tell what it is.
                    Err(Errno::ISDIR) => {}
                    result => {
                        result?;
                        continue;
                    }
                }
            }
            match gone(fs::unlinkat(dir, name, AtFlags::REMOVEDIR)) {
                Err(Errno::NOTEMPTY | Errno::EXIST) if depth < MAX_DEPTH => {
                    let below = open(dir.as_fd(), name)?;
                    self.empty(dir.as_fd(), name, below, depth + 1)?;
                }
                Err(Errno::NOTEMPTY | Errno::EXIST) => self.lift(dir, name)?,
                result => result?,
            }
        }
        Ok(())
    }

    /// Moves a directory to the top, where a later pass finds it.
    fn lift(&mut self, dir: &OwnedFd, name: &CStr) -> Result<(), Errno> {
        loop {
            let free = format!(".removed-{}", self.lifted);
            self.lifted += 1;
            match gone(fs::renameat_with(dir, name, &self.top, free.as_str(), RenameFlags::NOREPLACE)) {
                Err(Errno::EXIST) => {}
                result => return result,
            }
        }
    }
}

/// Opens a directory, and no symbolic link; `None` if it is not there.
fn open(parent: BorrowedFd<'_>, name: &CStr) -> Result<Option<OwnedFd>, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    match fs::openat(parent, name, flags, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What somebody else removed is as good as removed.
fn gone(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A chain of directories beyond what any path can name, with files beside it.
    fn nest(root: &std::path::Path, depth: usize) {
        std::fs::create_dir(root.join("t")).unwrap();
        let mut dir = open(std::fs::File::open(root).unwrap().as_fd(), c"t").unwrap().unwrap();
        for level in 0..depth {
            fs::mkdirat(&dir, c"directory", Mode::RWXU).unwrap();
            if level % 1000 == 0 {
                fs::mkdirat(&dir, c".removed-0", Mode::RWXU).unwrap();
                drop(fs::openat(&dir, c"file", OFlags::CREATE | OFlags::WRONLY, Mode::RWXU).unwrap());
            }
            dir = open(dir.as_fd(), c"directory").unwrap().unwrap();
        }
    }

    #[test]
    fn depth_is_no_hindrance() {
        let root = tempfile::tempdir().unwrap();
        nest(root.path(), 30_000);
        directory(std::fs::File::open(root.path()).unwrap().as_fd(), c"t").unwrap();
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn links_are_not_followed_and_width_is_no_hindrance() {
        let root = tempfile::tempdir().unwrap();
        let inside = root.path().join("t/inside");
        std::fs::create_dir_all(&inside).unwrap();
        std::fs::create_dir(root.path().join("kept")).unwrap();
        symlink(root.path().join("kept"), inside.join("link")).unwrap();
        for number in 0..5000 {
            std::fs::write(inside.join(number.to_string()), "").unwrap();
            std::fs::create_dir(root.path().join("t").join(number.to_string())).unwrap();
        }
        let parent = std::fs::File::open(root.path()).unwrap();
        directory(parent.as_fd(), c"t").unwrap();
        directory(parent.as_fd(), c"t").unwrap();
        let left: Vec<_> = std::fs::read_dir(root.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["kept"]);
    }
}
