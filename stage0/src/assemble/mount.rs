//! `--mnt-volume=name=NAME,kind=KIND,…,target=PATH`: a volume and where one app has it.

use std::str::FromStr;

use appc::{Mount, Volume};

/// A volume of one app alone, and where that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountFlag(pub Mount);

/// Why such a flag is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotMount {
    /// A part is missing.
    #[error("\"{text}\" has no {part}=")]
    Missing {
        /// The flag's value.
        text: String,
        /// What it lacks.
        part: &'static str,
    },
    /// The volume.
    #[error("{0}")]
    Volume(String),
}

impl FromStr for MountFlag {
    type Err = NotMount;

    fn from_str(text: &str) -> Result<Self, NotMount> {
        let (mut name, mut target, mut rest) = (None, None, String::new());
        for part in text.split(',') {
            match part.split_once('=') {
                Some(("name", value)) => name = Some(value),
                Some(("target", value)) => target = Some(value),
                _ => rest.extend([",", part]),
            }
        }
        let missing = |part| NotMount::Missing { text: text.to_owned(), part };
        let name = name.ok_or_else(|| missing("name"))?;
        let path = target.ok_or_else(|| missing("target"))?.to_owned();
        let volume: Volume = format!("{name}{rest}")
            .parse()
            .map_err(|error: <Volume as FromStr>::Err| NotMount::Volume(error.to_string()))?;
        Ok(Self(Mount { volume: volume.name.clone(), path, app_volume: Some(volume) }))
    }
}

#[cfg(test)]
mod tests {
    use appc::VolumeKind;

    use super::*;

    #[test]
    fn a_volume_and_its_target_in_any_order() {
        let flag = "target=/srv,name=data,kind=host,source=/data,readOnly=true".parse::<MountFlag>().unwrap();
        let volume = flag.0.app_volume.unwrap();
        assert_eq!((flag.0.path.as_str(), volume.name.as_str()), ("/srv", "data"));
        assert_eq!(volume.kind, VolumeKind::Host { source: "/data".to_owned() });
        assert_eq!(volume.read_only, Some(true));
        for (bad, part) in [("name=data,kind=empty", "target="), ("kind=empty,target=/x", "name=")] {
            assert!(bad.parse::<MountFlag>().unwrap_err().to_string().contains(part), "{bad}");
        }
        assert!("name=data,target=/x,kind=other".parse::<MountFlag>().is_err());
    }
}
