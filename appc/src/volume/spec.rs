//! Volumes and mounts as users write them on the command line (reference §2.5).

use std::str::FromStr;

use super::{DEFAULT_MODE, Mount, Volume, VolumeError, VolumeKind, empty_kind, parse_mode, size_of};
use crate::types::{AcName, Quantity, ValueError};

/// Why a volume or a mount of the command line is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// A part that is not `KEY=VALUE`.
    #[error("\"{0}\" must be KEY=VALUE")]
    Pair(String),
    /// A key that does not exist or does not belong to the volume's kind.
    #[error("unknown parameter \"{0}\"")]
    Unknown(String),
    /// A key given twice.
    #[error("parameter \"{0}\" is given twice")]
    Twice(String),
    /// A key that must be there.
    #[error("parameter \"{0}\" is missing")]
    Missing(&'static str),
    /// A value of the wrong form.
    #[error("parameter \"{key}\" is \"{value}\", must be {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A name that is none.
    #[error(transparent)]
    Name(#[from] ValueError),
    /// A volume that breaks its kind's rules.
    #[error(transparent)]
    Volume(#[from] VolumeError),
}

/// `KEY=VALUE` pairs of which each is taken once.
struct Pairs<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Pairs<'a> {
    fn parse(parts: impl Iterator<Item = &'a str>) -> Result<Self, SpecError> {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        for part in parts {
            let (key, value) = part.split_once('=').ok_or_else(|| SpecError::Pair(part.to_owned()))?;
            if pairs.iter().any(|(earlier, _)| *earlier == key) {
                return Err(SpecError::Twice(key.to_owned()));
            }
            pairs.push((key, value));
        }
        Ok(Self(pairs))
    }

    fn take(&mut self, key: &str) -> Option<&'a str> {
        let position = self.0.iter().position(|(name, _)| *name == key)?;
        Some(self.0.remove(position).1)
    }

    fn need(&mut self, key: &'static str) -> Result<&'a str, SpecError> {
        self.take(key).ok_or(SpecError::Missing(key))
    }

    fn switch(&mut self, key: &'static str) -> Result<Option<bool>, SpecError> {
        match self.take(key) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(value) => Err(SpecError::Value { key, value: value.to_owned(), expected: "true or false" }),
        }
    }

    fn number(&mut self, key: &'static str) -> Result<u32, SpecError> {
        let value = self.take(key).unwrap_or("0");
        value.parse().map_err(|_| SpecError::Value {
            key,
            value: value.to_owned(),
            expected: "a number from 0 to 4294967295",
        })
    }

    fn end(self) -> Result<(), SpecError> {
        match self.0.first() {
            Some((key, _)) => Err(SpecError::Unknown((*key).to_owned())),
            None => Ok(()),
        }
    }
}

impl FromStr for Volume {
    type Err = SpecError;

    /// `NAME,kind=host,source=PATH[,readOnly=BOOL][,recursive=BOOL]` or
    /// `NAME,kind=empty[,readOnly=BOOL][,mode=OCTAL][,uid=N][,gid=N][,medium=memory[,size=QUANTITY]]`.
    fn from_str(text: &str) -> Result<Self, SpecError> {
        let mut parts = text.split(',');
        let name: AcName = parts.next().unwrap_or_default().parse()?;
        let mut pairs = Pairs::parse(parts)?;
        let kind = match pairs.need("kind")? {
            "host" => host(&name, &mut pairs)?,
            "empty" => empty(&name, &mut pairs)?,
            kind => return Err(VolumeError::Kind { name, kind: kind.to_owned() }.into()),
        };
        let (read_only, recursive) = (pairs.switch("readOnly")?, pairs.switch("recursive")?);
        pairs.end()?;
        Ok(Self { name, kind, read_only, recursive })
    }
}

fn host(name: &AcName, pairs: &mut Pairs<'_>) -> Result<VolumeKind, SpecError> {
    let source = pairs.take("source").unwrap_or_default().to_owned();
    if !source.starts_with('/') {
        return Err(VolumeError::Source { name: name.clone(), volume_source: source }.into());
    }
    Ok(VolumeKind::Host { source })
}

fn empty(name: &AcName, pairs: &mut Pairs<'_>) -> Result<VolumeKind, SpecError> {
    let mode = match pairs.take("mode") {
        None => DEFAULT_MODE,
        Some(text) => parse_mode(text).ok_or_else(|| SpecError::Value {
            key: "mode",
            value: text.to_owned(),
            expected: "an octal number up to 7777",
        })?,
    };
    let (uid, gid) = (pairs.number("uid")?, pairs.number("gid")?);
    let medium = pairs.take("medium");
    let size = pairs.take("size").map(size).transpose()?;
    Ok(empty_kind(name, mode, uid, gid, medium, size)?)
}

/// The size of a volume in memory, in bytes.
fn size(text: &str) -> Result<u64, SpecError> {
    text.parse::<Quantity>().ok().and_then(size_of).ok_or_else(|| SpecError::Value {
        key: "size",
        value: text.to_owned(),
        expected: "4096 bytes or more (64M)",
    })
}

impl FromStr for Mount {
    type Err = SpecError;

    /// `volume=NAME,target=PATH`.
    fn from_str(text: &str) -> Result<Self, SpecError> {
        let mut pairs = Pairs::parse(text.split(','))?;
        let volume = pairs.need("volume")?.parse()?;
        let path = pairs.need("target")?;
        pairs.end()?;
        if !path.starts_with('/') {
            return Err(SpecError::Value {
                key: "target",
                value: path.to_owned(),
                expected: "an absolute path",
            });
        }
        Ok(Self { volume, path: path.to_owned(), app_volume: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(text: &str) -> Result<Volume, String> {
        text.parse().map_err(|error: SpecError| error.to_string())
    }

    #[test]
    fn volumes_have_a_kind_and_its_parameters() {
        let host = volume("data,kind=host,source=/srv/a=b,readOnly=true,recursive=false").unwrap();
        assert_eq!(host.kind, VolumeKind::Host { source: "/srv/a=b".to_owned() });
        assert_eq!((host.read_only, host.recursive), (Some(true), Some(false)));
        let empty = volume("tmp,kind=empty,mode=1777,uid=5,gid=6").unwrap();
        assert_eq!(empty.kind, VolumeKind::Empty { mode: 0o1777, uid: 5, gid: 6 });
        let memory = volume("tmp,kind=empty,medium=memory,size=64Mi,mode=1777").unwrap();
        assert_eq!(memory.kind, VolumeKind::Memory { mode: 0o1777, uid: 0, gid: 0, size: Some(64 << 20) });
        let plain = volume("tmp,kind=empty").unwrap();
        assert_eq!(plain.kind, VolumeKind::Empty { mode: 0o755, uid: 0, gid: 0 });
    }

    #[test]
    fn mounts_name_a_volume_and_a_target() {
        let mount: Mount = "target=/a,volume=v".parse().unwrap();
        assert_eq!((mount.volume.as_str(), mount.path.as_str()), ("v", "/a"));
        for bad in
            ["", "volume=v", "target=/a", "volume=v,target=a", "volume=V,target=/a", "volume=v,target=/a,x=y"]
        {
            assert!(bad.parse::<Mount>().is_err(), "{bad}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, message) in [
            ("", "Invalid AC name"),
            ("v", "\"kind\" is missing"),
            ("v,kind=x", "must be host or empty"),
            ("v,kind=host", "must be an absolute path"),
            ("v,kind=host,source=/a,mode=0755", "unknown parameter \"mode\""),
            ("v,kind=empty,source=/a", "unknown parameter \"source\""),
            ("v,kind=empty,mode=8", "octal"),
            ("v,kind=empty,size=1M", "not in memory"),
            ("v,kind=empty,medium=tape", "must be memory"),
            ("v,kind=empty,medium=memory,size=1", "4096 bytes or more"),
            ("v,kind=host,source=/a,size=1M", "unknown parameter \"size\""),
            ("v,kind=empty,uid=-1", "a number"),
            ("v,kind=empty,readOnly=yes", "true or false"),
            ("v,kind=empty,kind=host", "given twice"),
            ("v,kind", "KEY=VALUE"),
        ] {
            let error = volume(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
