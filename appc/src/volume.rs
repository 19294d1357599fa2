//! Volumes of a pod, and where they are mounted.

mod spec;

use serde::{Deserialize, Serialize};

pub use spec::SpecError;

use crate::types::{AcName, Quantity};

/// Where an image wants a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MountPoint {
    /// The name of the volume it wants.
    pub name: AcName,
    /// Absolute path in the app's root file system.
    pub path: String,
    /// Whether the app promises not to write.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
}

/// A volume mounted into an app by the pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    /// The volume's name.
    pub volume: AcName,
    /// Path in the app's root file system.
    pub path: String,
    /// A volume that only this mount has, instead of one of the pod's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_volume: Option<Volume>,
}

/// A volume of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenVolume", into = "WrittenVolume")]
pub struct Volume {
    /// Its name.
    pub name: AcName,
    /// What it is.
    pub kind: VolumeKind,
    /// Overrides the mount points' wish if given.
    pub read_only: Option<bool>,
    /// Whether mounts below the source come along; they do if not said.
    pub recursive: Option<bool>,
}

/// What a volume is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeKind {
    /// A file or directory of the host.
    Host {
        /// Its absolute path.
        source: String,
    },
    /// A directory made for the pod and removed with it.
    Empty {
        /// Its permissions.
        mode: u32,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// An empty directory that is kept in memory (`"medium": "memory"`, as Kubernetes says it). Not in the specification.
    Memory {
        /// Its permissions.
        mode: u32,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
        /// The most it holds, in bytes; as much as the kernel lets it if not said.
        size: Option<u64>,
    },
}

/// The least size of a volume in memory, in bytes: one page.
const LEAST_SIZE: u64 = 4096;

/// Why a volume is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VolumeError {
    /// Neither `host` nor `empty`.
    #[error("Volume \"{name}\" has kind \"{kind}\", must be host or empty")]
    Kind {
        /// The volume.
        name: AcName,
        /// Its kind.
        kind: String,
    },
    /// A host volume without an absolute source.
    #[error("Source of host volume \"{name}\" must be an absolute path, not \"{volume_source}\"")]
    Source {
        /// The volume.
        name: AcName,
        /// Its source, empty if there is none.
        volume_source: String,
    },
    /// A field that does not belong to the volume's kind.
    #[error("Volume \"{name}\" of kind {kind} cannot have {field}")]
    Field {
        /// The volume.
        name: AcName,
        /// Its kind.
        kind: &'static str,
        /// The field.
        field: &'static str,
    },
    /// Not an octal mode.
    #[error("Mode \"{mode}\" of volume \"{name}\" is not an octal number up to 7777")]
    Mode {
        /// The volume.
        name: AcName,
        /// Its mode.
        mode: String,
    },
    /// A medium other than memory.
    #[error("Volume \"{name}\" has medium \"{medium}\", must be memory")]
    Medium {
        /// The volume.
        name: AcName,
        /// Its medium.
        medium: String,
    },
    /// A size of what is on the host's disk.
    #[error("Volume \"{0}\" has a size but is not in memory (medium=memory)")]
    SizeWithoutMemory(AcName),
    /// A size that holds nothing.
    #[error("Size {size} of volume \"{name}\" must be 4096 bytes or more")]
    Size {
        /// The volume.
        name: AcName,
        /// Its size.
        size: Quantity,
    },
}

/// The mode of an empty volume that does not say.
pub const DEFAULT_MODE: u32 = 0o755;

/// A volume as manifests spell it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenVolume {
    name: AcName,
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    read_only: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recursive: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    medium: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<Quantity>,
}

/// Reads an octal mode of at most 07777.
pub fn parse_mode(text: &str) -> Option<u32> {
    let octal = !text.is_empty() && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    octal.then(|| u32::from_str_radix(text, 8).ok()).flatten().filter(|mode| *mode <= 0o7777)
}

impl TryFrom<WrittenVolume> for Volume {
    type Error = VolumeError;

    fn try_from(written: WrittenVolume) -> Result<Self, VolumeError> {
        let name = written.name.clone();
        let kind = match written.kind.as_str() {
            "host" => host(&written)?,
            "empty" => empty(&written)?,
            kind => return Err(VolumeError::Kind { name, kind: kind.to_owned() }),
        };
        Ok(Self { name, kind, read_only: written.read_only, recursive: written.recursive })
    }
}

fn host(written: &WrittenVolume) -> Result<VolumeKind, VolumeError> {
    let refused = [
        ("mode", written.mode.is_some()),
        ("uid", written.uid.is_some()),
        ("gid", written.gid.is_some()),
        ("medium", written.medium.is_some()),
        ("size", written.size.is_some()),
    ];
    if let Some((field, _)) = refused.into_iter().find(|(_, given)| *given) {
        return Err(VolumeError::Field { name: written.name.clone(), kind: "host", field });
    }
    let source = written.source.clone().unwrap_or_default();
    if !source.starts_with('/') {
        return Err(VolumeError::Source { name: written.name.clone(), volume_source: source });
    }
    Ok(VolumeKind::Host { source })
}

fn empty(written: &WrittenVolume) -> Result<VolumeKind, VolumeError> {
    if written.source.as_ref().is_some_and(|source| !source.is_empty()) {
        return Err(VolumeError::Field { name: written.name.clone(), kind: "empty", field: "source" });
    }
    let mode = match &written.mode {
        Some(text) => parse_mode(text)
            .ok_or_else(|| VolumeError::Mode { name: written.name.clone(), mode: text.clone() })?,
        None => DEFAULT_MODE,
    };
    let (uid, gid) = (written.uid.unwrap_or(0), written.gid.unwrap_or(0));
    let size = written
        .size
        .map(|size| size_of(size).ok_or_else(|| VolumeError::Size { name: written.name.clone(), size }))
        .transpose()?;
    empty_kind(&written.name, mode, uid, gid, written.medium.as_deref(), size)
}

/// An empty volume, on the host or in memory.
fn empty_kind(
    name: &AcName,
    mode: u32,
    uid: u32,
    gid: u32,
    medium: Option<&str>,
    size: Option<u64>,
) -> Result<VolumeKind, VolumeError> {
    match (medium, size) {
        (Some("memory"), size) => Ok(VolumeKind::Memory { mode, uid, gid, size }),
        (Some(other), _) => Err(VolumeError::Medium { name: name.clone(), medium: other.to_owned() }),
        (None, Some(_)) => Err(VolumeError::SizeWithoutMemory(name.clone())),
        (None, None) => Ok(VolumeKind::Empty { mode, uid, gid }),
    }
}

/// A size in bytes, if it can be one.
fn size_of(quantity: Quantity) -> Option<u64> {
    u64::try_from(quantity.value()).ok().filter(|size| *size >= LEAST_SIZE)
}

impl From<Volume> for WrittenVolume {
    fn from(volume: Volume) -> Self {
        let plain = Self {
            name: volume.name,
            kind: "empty".to_owned(),
            source: None,
            read_only: volume.read_only,
            recursive: volume.recursive,
            mode: None,
            uid: None,
            gid: None,
            medium: None,
            size: None,
        };
        let made = |mode: u32, uid, gid, plain: Self| Self {
            mode: Some(format!("{mode:04o}")),
            uid: Some(uid),
            gid: Some(gid),
            ..plain
        };
        match volume.kind {
            VolumeKind::Host { source } => Self { kind: "host".to_owned(), source: Some(source), ..plain },
            VolumeKind::Empty { mode, uid, gid } => made(mode, uid, gid, plain),
            VolumeKind::Memory { mode, uid, gid, size } => Self {
                medium: Some("memory".to_owned()),
                size: size.map(|size| Quantity::from_value(i64::try_from(size).unwrap_or(i64::MAX))),
                ..made(mode, uid, gid, plain)
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(json: &str) -> Result<Volume, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_volume_has_defaults() {
        let volume = volume(r#"{"name":"v","kind":"empty"}"#).unwrap();
        assert_eq!(volume.kind, VolumeKind::Empty { mode: 0o755, uid: 0, gid: 0 });
        assert_eq!(
            serde_json::to_string(&volume).unwrap(),
            r#"{"name":"v","kind":"empty","mode":"0755","uid":0,"gid":0}"#
        );
    }

    #[test]
    fn a_host_volume_survives_a_round_trip() {
        let json = r#"{"name":"v","kind":"host","source":"/srv","readOnly":true,"recursive":false}"#;
        assert_eq!(serde_json::to_string(&volume(json).unwrap()).unwrap(), json);
    }

    #[test]
    fn a_volume_in_memory_survives_a_round_trip() {
        let json =
            r#"{"name":"v","kind":"empty","mode":"1777","uid":1,"gid":2,"medium":"memory","size":"64Mi"}"#;
        let known = volume(json).unwrap();
        assert_eq!(known.kind, VolumeKind::Memory { mode: 0o1777, uid: 1, gid: 2, size: Some(64 << 20) });
        assert_eq!(volume(&serde_json::to_string(&known).unwrap()), Ok(known));
        let open = volume(r#"{"name":"v","kind":"empty","medium":"memory"}"#).unwrap();
        assert_eq!(open.kind, VolumeKind::Memory { mode: 0o755, uid: 0, gid: 0, size: None });
        assert_eq!(volume(&serde_json::to_string(&open).unwrap()), Ok(open));
    }

    #[test]
    fn kinds_have_their_fields() {
        for (json, message) in [
            (r#"{"name":"v","kind":"tmp"}"#, "must be host or empty"),
            (r#"{"name":"v","kind":"host"}"#, "must be an absolute path"),
            (r#"{"name":"v","kind":"host","source":"a"}"#, "must be an absolute path"),
            (r#"{"name":"v","kind":"host","source":"/a","uid":1}"#, "cannot have uid"),
            (r#"{"name":"v","kind":"empty","source":"/a"}"#, "cannot have source"),
            (r#"{"name":"v","kind":"empty","mode":"999"}"#, "not an octal number"),
            (r#"{"name":"v","kind":"empty","mode":"+7"}"#, "not an octal number"),
            (r#"{"name":"v","kind":"empty","mode":"10000"}"#, "not an octal number"),
            (r#"{"name":"v","kind":"host","source":"/a","medium":"memory"}"#, "cannot have medium"),
            (r#"{"name":"v","kind":"empty","size":"1M"}"#, "has a size but is not in memory"),
            (r#"{"name":"v","kind":"empty","medium":"disk"}"#, "has medium \"disk\", must be memory"),
            (r#"{"name":"v","kind":"empty","medium":"memory","size":"0"}"#, "must be 4096 bytes or more"),
            (r#"{"name":"v","kind":"empty","medium":"memory","size":"-5M"}"#, "must be 4096 bytes or more"),
        ] {
            let error = volume(json).unwrap_err();
            assert!(error.contains(message), "{json}: {error}");
        }
    }
}
