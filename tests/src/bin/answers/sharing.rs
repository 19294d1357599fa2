//! What a process sees of what somebody else does, perhaps in another pod or on the host.

use std::{collections::BTreeSet, fs, path::Path, thread::sleep, time::Duration};

use anyhow::Result;

use super::{
    all,
    data::{Mapping, rw},
    said,
};

/// Makes a directory of so many entries.
pub fn make(directory: &Path, entries: &str) -> Result<String> {
    fs::create_dir(directory)?;
    for number in 0..entries.parse::<u32>()? {
        fs::File::create(directory.join(number.to_string()))?;
    }
    Ok(entries.to_owned())
}

/// How many entries a directory of [`make`] has, how many of them are not what they should be, and what is said of one in the middle.
pub fn list(directory: &Path) -> Result<String> {
    let mut names = BTreeSet::new();
    let mut strange = 0_u64;
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().into_string().unwrap_or_default();
        strange += u64::from(!name.parse::<u32>().is_ok_and(|number| names.insert(number)));
    }
    let count = u32::try_from(names.len())?;
    let complete = names.last().is_some_and(|last| *last == count - 1);
    let one = fs::metadata(directory.join((count / 2).to_string())).map(|is| is.len());
    all([count.to_string(), strange.to_string(), complete.to_string(), said(one)])
}

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
