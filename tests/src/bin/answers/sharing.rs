//! What a process sees of a file that somebody else changes, perhaps in another pod.

use std::{fs, path::Path, thread::sleep, time::Duration};

use anyhow::Result;

use super::{
    all,
    data::{Mapping, rw},
};

/// Longer than attributes are good for.
const A_WHILE: Duration = Duration::from_millis(1200);

/// Maps the file `path`, says so by `path.mapped`, and waits for `path.changed`. The first bytes that the mapping then has: at
/// once, and after a look at the file. What it writes itself, by the mapping, is the last byte.
pub fn mapped(path: &Path) -> Result<String> {
    let file = rw(path)?;
    let length = usize::try_from(file.metadata()?.len())?;
    let mut mapping = Mapping::new(&file, length)?;
    // What is not in memory cannot be old.
    let before = mapping.bytes()[0];
    fs::write(path.with_extension("mapped"), "")?;
    while !path.with_extension("changed").exists() {
        sleep(Duration::from_millis(100));
    }
    let at_once = mapping.bytes()[0];
    sleep(A_WHILE);
    file.metadata()?;
    let after_a_look = mapping.bytes()[0];
    mapping.bytes()[length - 1] = b'm';
    mapping.sync()?;
    all([before, at_once, after_a_look].map(|byte| (byte as char).to_string()))
}
