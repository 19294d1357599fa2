//! Flags that choose stage1 (reference §3.7).

use std::path::PathBuf;

use crate::stage1::Choice;

/// Flags that choose stage1; at most one may be given.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Stage1Flags {
    /// URL of the stage1 image
    #[arg(long, value_name = "URL", action = clap::ArgAction::Append)]
    stage1_url: Vec<String>,

    /// File of the stage1 image
    #[arg(long, value_name = "FILE", action = clap::ArgAction::Append)]
    stage1_path: Vec<PathBuf>,

    /// Name of the stage1 image; kvm is short for the default one
    #[arg(long, value_name = "NAME", action = clap::ArgAction::Append)]
    stage1_name: Vec<String>,

    /// Hash of the stage1 image
    #[arg(long, value_name = "HASH", action = clap::ArgAction::Append)]
    stage1_hash: Vec<String>,

    /// File of the stage1 image in the directory of stage1 images
    #[arg(long, value_name = "FILE", action = clap::ArgAction::Append)]
    stage1_from_dir: Vec<String>,
}

/// Why the flags are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stage1FlagsError {
    /// Two flags.
    #[error("flags --{0} and --{1} are mutually exclusive")]
    Exclusive(&'static str, &'static str),
    /// One flag twice.
    #[error("--{0} already used")]
    Twice(&'static str),
}

impl Stage1Flags {
    /// Which stage1 the user wants.
    pub fn choice(&self) -> Result<Choice, Stage1FlagsError> {
        let mut given: Vec<(&'static str, Choice)> = Vec::new();
        let urls = self.stage1_url.iter().map(|url| ("stage1-url", Choice::Url(url.clone())));
        let paths = self.stage1_path.iter().map(|path| ("stage1-path", Choice::Path(path.clone())));
        let names = self.stage1_name.iter().map(|name| ("stage1-name", Choice::named(name)));
        let hashes = self.stage1_hash.iter().map(|hash| ("stage1-hash", Choice::Hash(hash.clone())));
        let files =
            self.stage1_from_dir.iter().map(|file| ("stage1-from-dir", Choice::FromDir(file.clone())));
        for (flag, choice) in urls.chain(paths).chain(names).chain(hashes).chain(files) {
            match given.first() {
                Some((earlier, _)) if *earlier == flag => return Err(Stage1FlagsError::Twice(flag)),
                Some((earlier, _)) => return Err(Stage1FlagsError::Exclusive(earlier, flag)),
                None => given.push((flag, choice)),
            }
        }
        Ok(given.pop().map_or(Choice::Default, |(_, choice)| choice))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_flag_at_most() {
        let path = |count| Stage1Flags { stage1_path: vec!["a".into(); count], ..Stage1Flags::default() };
        assert_eq!(Stage1Flags::default().choice(), Ok(Choice::Default));
        assert_eq!(path(1).choice(), Ok(Choice::Path("a".into())));
        assert_eq!(path(2).choice().unwrap_err().to_string(), "--stage1-path already used");
        let both = Stage1Flags { stage1_hash: vec!["sha512-a".to_owned()], ..path(1) };
        let error = both.choice().unwrap_err().to_string();
        assert_eq!(error, "flags --stage1-path and --stage1-hash are mutually exclusive");
    }

    #[test]
    fn kvm_is_the_default() {
        let named = |name: &str| {
            let stage1_name = vec![name.to_owned()];
            Stage1Flags { stage1_name, ..Stage1Flags::default() }.choice().unwrap()
        };
        assert_eq!(named("kvm"), Choice::Default);
        assert_eq!(named("example.com/x"), Choice::Name("example.com/x".to_owned()));
    }
}
