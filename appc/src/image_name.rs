//! Image names as users write them: `name[:version][,label=value]…`.

use std::fmt;
use std::str::FromStr;

use crate::types::{AcIdentifier, Labels, ValueError};

/// A name and the labels an image must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageName {
    /// The image's name.
    pub name: AcIdentifier,
    /// Labels it must have; the version is one of them.
    pub labels: Labels,
}

/// Why a text is no image name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageNameError {
    /// Two colons, or one after a comma.
    #[error("Malformed image name \"{0}\": a colon may appear once, right after the name")]
    Colon(String),
    /// A label without a value.
    #[error("Malformed label \"{label}\" in image name \"{name}\": must be NAME=VALUE")]
    Label {
        /// The label.
        label: String,
        /// The whole text.
        name: String,
    },
    /// The name or a label breaks its rules.
    #[error("Malformed image name \"{name}\"")]
    Value {
        /// The whole text.
        name: String,
        /// Which rule.
        source: ValueError,
    },
}

impl FromStr for ImageName {
    type Err = ImageNameError;

    fn from_str(text: &str) -> Result<Self, ImageNameError> {
        let value = |source| ImageNameError::Value { name: text.to_owned(), source };
        let mut parts = text.split(',');
        let first = parts.next().unwrap_or_default();
        let (name, version) = match first.split_once(':') {
            Some((name, version)) => (name, Some(version)),
            None => (first, None),
        };
        if text.matches(':').count() > usize::from(version.is_some()) {
            return Err(ImageNameError::Colon(text.to_owned()));
        }
        let version = version.map(|version| ("version", version));
        let labels = parts.map(|label| {
            label
                .split_once('=')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| ImageNameError::Label { label: label.to_owned(), name: text.to_owned() })
        });
        let mut parsed = Labels::default();
        for label in version.map(Ok).into_iter().chain(labels) {
            let (name, value_of) = label?;
            if parsed.get(name).is_some() {
                return Err(value(ValueError::Duplicate { what: "label", name: name.to_owned() }));
            }
            if name == "name" {
                return Err(value(ValueError::LabelNamedName));
            }
            parsed.set(name.parse().map_err(value)?, value_of);
        }
        Ok(Self { name: name.parse().map_err(value)?, labels: parsed })
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)?;
        if let Some(version) = self.labels.get("version") {
            write!(f, ":{version}")?;
        }
        for label in self.labels.iter().filter(|label| label.name != "version") {
            write!(f, ",{}={}", label.name, label.value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> ImageName {
        text.parse().unwrap()
    }

    #[test]
    fn versions_and_labels_are_optional() {
        let full = name("example.com/etcd:v2.0,os=linux,channel=a=b");
        assert_eq!(full.name, "example.com/etcd");
        assert_eq!(full.labels.get("version"), Some("v2.0"));
        assert_eq!((full.labels.get("os"), full.labels.get("channel")), (Some("linux"), Some("a=b")));
        assert_eq!(full.to_string(), "example.com/etcd:v2.0,os=linux,channel=a=b");
        assert!(name("a").labels.is_empty());
        assert_eq!(name("a,version=1"), name("a:1"));
    }

    #[test]
    fn the_rest_is_refused() {
        for bad in ["a:1:2", "a,os=linux:1", "a:1,b=c:d"] {
            assert_eq!(bad.parse::<ImageName>(), Err(ImageNameError::Colon(bad.to_owned())), "{bad}");
        }
        for bad in ["", "A", ":1", "a,", "a,os", "a,=x", "a,name=b", "a,os=x,os=y", "a:1,version=2", "a,B=c"]
        {
            assert!(bad.parse::<ImageName>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn printing_and_parsing_agree(text in "[a-z/]{1,6}(:[a-z0-9.]{0,3})?(,[a-z]{1,3}=[a-z=]{0,3}){0,3}") {
            if let Ok(parsed) = text.parse::<ImageName>() {
                prop_assert_eq!(name(&parsed.to_string()), parsed);
            }
        }

        #[test]
        fn nothing_panics(text in "[a:,=/]{0,12}") {
            let _ = text.parse::<ImageName>();
        }
    }
}
