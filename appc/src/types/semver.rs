//! Semantic versions, as `acVersion` carries them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ValueError;

/// `MAJOR.MINOR.PATCH[-pre][+meta]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SemVer {
    /// Incompatible changes.
    pub major: u64,
    /// Compatible additions.
    pub minor: u64,
    /// Compatible corrections.
    pub patch: u64,
    /// What follows `-`, empty if nothing does.
    pub pre: String,
    /// What follows `+`, empty if nothing does.
    pub meta: String,
}

impl SemVer {
    /// The version of the specification these types implement.
    pub fn of_spec() -> Self {
        Self { major: 0, minor: 8, patch: 11, pre: String::new(), meta: String::new() }
    }

    /// Whether this is 0.0.0, which no manifest may carry.
    pub fn is_zero(&self) -> bool {
        (self.major, self.minor, self.patch) == (0, 0, 0) && self.pre.is_empty() && self.meta.is_empty()
    }
}

fn number(text: &str) -> Option<u64> {
    let canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()));
    if canonical { text.parse().ok() } else { None }
}

/// Dot-separated, non-empty words of letters, digits and dashes.
fn is_extension(text: &str) -> bool {
    text.split('.')
        .all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
}

fn parse(text: &str) -> Option<SemVer> {
    let (rest, meta) = match text.split_once('+') {
        Some((rest, meta)) if is_extension(meta) => (rest, meta),
        Some(_) => return None,
        None => (text, ""),
    };
    let (core, pre) = match rest.split_once('-') {
        Some((core, pre)) if is_extension(pre) => (core, pre),
        Some(_) => return None,
        None => (rest, ""),
    };
    let mut parts = core.split('.').map(number);
    let version = SemVer {
        major: parts.next()??,
        minor: parts.next()??,
        patch: parts.next()??,
        pre: pre.to_owned(),
        meta: meta.to_owned(),
    };
    parts.next().is_none().then_some(version)
}

impl FromStr for SemVer {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        parse(text).ok_or_else(|| ValueError::SemVer(text.to_owned()))
    }
}

impl TryFrom<String> for SemVer {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        text.parse()
    }
}

impl From<SemVer> for String {
    fn from(version: SemVer) -> String {
        version.to_string()
    }
}

impl fmt::Display for SemVer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.pre.is_empty() {
            write!(f, "-{}", self.pre)?;
        }
        if !self.meta.is_empty() {
            write!(f, "+{}", self.meta)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_survive_a_round_trip() {
        for text in ["0.8.11", "1.30.0+git", "1.0.0-rc.1+build-5", "0.0.0"] {
            assert_eq!(text.parse::<SemVer>().unwrap().to_string(), text);
        }
        assert!("0.0.0".parse::<SemVer>().unwrap().is_zero());
        assert!(!"0.0.0-a".parse::<SemVer>().unwrap().is_zero());
    }

    #[test]
    fn everything_else_is_refused() {
        for bad in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "1.02.3",
            "1.2.x",
            "+1.2.3",
            "1.2.3-",
            "1.2.3+",
            "1.2.3-a..b",
            "-1.2.3",
        ] {
            assert_eq!(bad.parse::<SemVer>(), Err(ValueError::SemVer(bad.to_owned())), "{bad}");
        }
    }
}
