//! `files DIRECTORY [CHECK...]`: does a directory behave as one on ext4 does?
//!
//! Runs every check, or those named, each in an empty directory below DIRECTORY; says `ok NAME` or `FAILED NAME: why`,
//! and exits with the number of failures. Meant to run as root, in a pod as well as on the host.
//!
//! `FILES_MIB` is how much the check `read-back` writes; with `FILES_KEEP` set, what it wrote stays, and
//! `files --child compare FILE MIB` says whether it is still the same.

mod data;
mod metadata;
mod names;
mod sharing;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context, Result, bail};

type Check = (&'static str, fn(&Path) -> Result<()>);

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let Some(directory) = arguments.next() else {
        eprintln!("files DIRECTORY [CHECK...]");
        return ExitCode::from(2);
    };
    if directory == sharing::CHILD {
        return sharing::child(&arguments.collect::<Vec<_>>());
    }
    let wanted: Vec<String> = arguments.collect();
    let checks = [data::CHECKS, names::CHECKS, metadata::CHECKS, sharing::CHECKS].concat();
    let chosen = checks.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|w| w == name));
    let failures = chosen.filter(|check| !passes(Path::new(&directory), check)).count();
    ExitCode::from(u8::try_from(failures).unwrap_or(u8::MAX))
}

fn passes(directory: &Path, (name, check): &Check) -> bool {
    let start = Instant::now();
    match in_empty_directory(&directory.join(format!("files.{name}")), *check) {
        Ok(()) => println!("ok {name} ({} ms)", start.elapsed().as_millis()),
        Err(error) => {
            println!("FAILED {name}: {error:#}");
            return false;
        }
    }
    true
}

fn in_empty_directory(directory: &PathBuf, check: fn(&Path) -> Result<()>) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory).context("Cannot clean up what an earlier run left")?;
    }
    fs::create_dir(directory).with_context(|| format!("Cannot create {directory:?}"))?;
    check(directory)?;
    if env::var_os("FILES_KEEP").is_some() {
        return Ok(());
    }
    fs::remove_dir_all(directory).context("Cannot remove the check's directory")
}

/// That an operation failed, and how.
fn expect_error<T>(what: &str, result: rustix::io::Result<T>, expected: rustix::io::Errno) -> Result<()> {
    match result {
        Ok(_) => bail!("{what} works, but should say {expected}"),
        Err(error) if error == expected => Ok(()),
        Err(error) => bail!("{what} says {error}, but should say {expected}"),
    }
}
