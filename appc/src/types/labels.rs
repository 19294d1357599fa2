//! Labels: what distinguishes images of one name.

use serde::{Deserialize, Serialize};

use super::{AcIdentifier, ValueError};

/// One label of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// Its name, `version`, `os` and `arch` being the well-known ones.
    pub name: AcIdentifier,
    /// Its value.
    pub value: String,
}

/// The labels of an image, each name at most once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(pub Vec<Label>);

/// Operating systems and architectures of the specification.
const OS_ARCH: &[(&str, &[&str])] = &[
    (
        "linux",
        &[
            "amd64",
            "i386",
            "aarch64",
            "aarch64_be",
            "armv6l",
            "armv7l",
            "armv7b",
            "ppc64",
            "ppc64le",
            "s390x",
        ],
    ),
    ("freebsd", &["amd64", "i386", "arm"]),
    ("darwin", &["x86_64", "i386"]),
];

/// Checks an operating system and, if given, an architecture against the specification's table.
pub fn check_os_arch(os: &str, arch: Option<&str>) -> Result<(), ValueError> {
    let Some((_, arches)) = OS_ARCH.iter().find(|(name, _)| *name == os) else {
        return Err(ValueError::Os {
            os: os.to_owned(),
            known: OS_ARCH.iter().map(|(name, _)| *name).collect(),
        });
    };
    match arch {
        Some(arch) if !arches.contains(&arch) => {
            Err(ValueError::Arch { arch: arch.to_owned(), os: os.to_owned(), known: arches.to_vec() })
        }
        _ => Ok(()),
    }
}

impl Labels {
    /// The value of the label `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|label| label.name == name).map(|label| label.value.as_str())
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The labels in the manifest's order.
    pub fn iter(&self) -> std::slice::Iter<'_, Label> {
        self.0.iter()
    }

    /// Sets a label, replacing one of the same name.
    pub fn set(&mut self, name: AcIdentifier, value: impl Into<String>) {
        let value = value.into();
        match self.0.iter_mut().find(|label| label.name == name) {
            Some(label) => label.value = value,
            None => self.0.push(Label { name, value }),
        }
    }

    /// Names occur once, `name` is none of them, operating system and architecture fit.
    pub fn validate(&self) -> Result<(), ValueError> {
        for (position, label) in self.0.iter().enumerate() {
            if label.name == "name" {
                return Err(ValueError::LabelNamedName);
            }
            if self.0[..position].iter().any(|earlier| earlier.name == label.name) {
                return Err(ValueError::Duplicate { what: "label", name: label.name.to_string() });
            }
        }
        match (self.get("os"), self.get("arch")) {
            (Some(os), arch) => check_os_arch(os, arch),
            (None, Some(arch)) => Err(ValueError::ArchWithoutOs(arch.to_owned())),
            (None, None) => Ok(()),
        }
    }
}

impl FromIterator<Label> for Labels {
    fn from_iter<I: IntoIterator<Item = Label>>(labels: I) -> Self {
        Self(labels.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(n, v)| Label { name: n.parse().unwrap(), value: (*v).to_owned() }).collect()
    }

    #[test]
    fn os_and_arch_are_checked_together() {
        assert_eq!(labels(&[("os", "linux"), ("arch", "amd64")]).validate(), Ok(()));
        assert_eq!(labels(&[("os", "linux")]).validate(), Ok(()));
        assert_eq!(
            labels(&[("arch", "amd64")]).validate(),
            Err(ValueError::ArchWithoutOs("amd64".to_owned()))
        );
        let error = labels(&[("os", "linux"), ("arch", "x86_64")]).validate().unwrap_err().to_string();
        assert!(error.starts_with("bad arch \"x86_64\" for linux (must be one of amd64, i386"), "{error}");
        let error = labels(&[("os", "plan9")]).validate().unwrap_err().to_string();
        assert_eq!(error, "bad os \"plan9\" (must be one of linux, freebsd, darwin)");
    }

    #[test]
    fn names_occur_once_and_are_not_name() {
        assert!(matches!(
            labels(&[("a", "1"), ("a", "2")]).validate(),
            Err(ValueError::Duplicate { what: "label", .. })
        ));
        assert_eq!(labels(&[("name", "x")]).validate(), Err(ValueError::LabelNamedName));
    }

    #[test]
    fn setting_replaces() {
        let mut set = labels(&[("a", "1"), ("b", "2")]);
        set.set("a".parse().unwrap(), "3");
        set.set("c".parse().unwrap(), "4");
        assert_eq!(set, labels(&[("a", "3"), ("b", "2"), ("c", "4")]));
    }
}
