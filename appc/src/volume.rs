//! Volumes of a pod, and where they are mounted.

mod spec;

use serde::{Deserialize, Serialize};

pub use spec::SpecError;

use crate::types::AcName;

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
}

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
    let refused =
        [("mode", written.mode.is_some()), ("uid", written.uid.is_some()), ("gid", written.gid.is_some())];
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
    Ok(VolumeKind::Empty { mode, uid: written.uid.unwrap_or(0), gid: written.gid.unwrap_or(0) })
}

impl From<Volume> for WrittenVolume {
    fn from(volume: Volume) -> Self {
        let (kind, source, mode, uid, gid) = match volume.kind {
            VolumeKind::Host { source } => ("host", Some(source), None, None, None),
            VolumeKind::Empty { mode, uid, gid } => {
                ("empty", None, Some(format!("{mode:04o}")), Some(uid), Some(gid))
            }
        };
        Self {
            name: volume.name,
            kind: kind.to_owned(),
            source,
            read_only: volume.read_only,
            recursive: volume.recursive,
            mode,
            uid,
            gid,
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
        ] {
            let error = volume(json).unwrap_err();
            assert!(error.contains(message), "{json}: {error}");
        }
    }
}
