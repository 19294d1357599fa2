//! Users and groups as an image's own `/etc/passwd` and `/etc/group` define them.
//!
//! The C library is not asked: it would load the image's code into the agent.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

/// The largest file that is read, in bytes; larger ones are cut.
const MAX_FILE: u64 = 16 << 20;

/// Who an app runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary group ids in the manifest's order, after the primary group.
    pub groups: Vec<u32>,
    /// The user's name, if the image knows it.
    pub name: Option<String>,
    /// The user's home directory, if the image knows it.
    pub home: Option<String>,
}

impl Credentials {
    /// The superuser, as event handlers run.
    pub fn root() -> Self {
        Self { uid: 0, gid: 0, groups: vec![0], name: None, home: None }
    }
}

/// Why an app's user or group cannot be found.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// No such user.
    #[error("Unable to find user \"{0}\" in /etc/passwd of the image")]
    User(String),
    /// No such group.
    #[error("Unable to find group \"{0}\" in /etc/group of the image")]
    Group(String),
    /// The file whose owner is meant does not exist.
    #[error("Unable to open \"{path}\" for its owner")]
    Owner {
        /// Its path.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A line of `/etc/passwd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User<'a> {
    /// Login name.
    pub name: &'a str,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Home directory.
    pub home: &'a str,
}

/// The well-formed lines of a passwd file (passwd(5)).
pub fn users(text: &str) -> impl Iterator<Item = User<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let uid = number(fields.nth(1)?)?;
        let gid = number(fields.next()?)?;
        let home = fields.nth(1).unwrap_or("");
        Some(User { name, uid, gid, home })
    })
}

/// The well-formed lines of a group file (group(5)): names and ids.
pub fn groups(text: &str) -> impl Iterator<Item = (&str, u32)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        Some((name, number(fields.nth(1)?)?))
    })
}

/// An id. All ones means "no change" to the kernel and is none.
fn number(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| plain && *id != u32::MAX)
}

/// Finds the ids for the `user` and `group` of an app: names, numbers, or absolute paths whose owner is meant.
///
/// `owner` gives the uid and gid of a path in the image.
pub fn resolve(
    (user, group): (&str, &str),
    supplementary: &[u32],
    (passwd, group_file): (&str, &str),
    owner: impl Fn(&str) -> io::Result<(u32, u32)>,
) -> Result<Credentials, UserError> {
    let owned = |path: &str| owner(path).map_err(|source| UserError::Owner { path: path.to_owned(), source });
    let by_name = users(passwd).find(|entry| entry.name == user);
    let uid = match (&by_name, number(user)) {
        (Some(entry), _) => entry.uid,
        (None, Some(uid)) => uid,
        (None, None) if user.starts_with('/') => owned(user)?.0,
        // An image of nothing but a program has no file that could say so.
        (None, None) if user == "root" => 0,
        (None, None) => return Err(UserError::User(user.to_owned())),
    };
    let entry = by_name.or_else(|| users(passwd).find(|entry| entry.uid == uid));
    let gid = match (groups(group_file).find(|(name, _)| *name == group), number(group)) {
        (Some((_, gid)), _) => gid,
        // Images converted from Docker repeat the user as group when they name none: the primary group is meant.
        (None, _) if group == user && !group.starts_with('/') => {
            entry.as_ref().map(|entry| entry.gid).or(number(group)).unwrap_or(uid)
        }
        (None, Some(gid)) => gid,
        (None, None) if group.starts_with('/') => owned(group)?.1,
        (None, None) if group == "root" => 0,
        (None, None) => return Err(UserError::Group(group.to_owned())),
    };
    let mut groups = vec![gid];
    groups.extend(supplementary.iter().filter(|id| **id != gid));
    let name = entry.as_ref().map(|entry| entry.name.to_owned());
    let home = entry.filter(|entry| !entry.home.is_empty()).map(|entry| entry.home.to_owned());
    Ok(Credentials { uid, gid, groups, name, home })
}

/// [`resolve`] with the files of the current root.
pub fn resolve_here(user: &str, group: &str, supplementary: &[u32]) -> Result<Credentials, UserError> {
    // Nothing the files say about the superuser matters, and reading them costs time.
    let files = match (user, group) {
        ("0", "0") => (String::new(), String::new()),
        _ => (read("/etc/passwd"), read("/etc/group")),
    };
    resolve((user, group), supplementary, (&files.0, &files.1), |path| {
        let metadata = fs::metadata(path)?;
        Ok((metadata.uid(), metadata.gid()))
    })
}

/// The text of a file of the image; a missing, special or unreadable one is as good as empty.
fn read(path: &str) -> String {
    // Opening a FIFO would wait for a writer.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    let Ok(file) = file else { return String::new() };
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return String::new();
    }
    let mut bytes = Vec::new();
    match file.take(MAX_FILE).read_to_end(&mut bytes) {
        Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests;
