//! The app section of an image's manifest: what to run and how.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::AppError;
use crate::isolator::Isolators;
use crate::null;
use crate::types::{AcName, Environment};
use crate::volume::MountPoint;

/// How an image's program runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct App {
    /// The program and its arguments; may be empty in an image, not in a pod.
    #[serde(deserialize_with = "null::as_default")]
    pub exec: Vec<String>,
    /// Name, number, or the path of a file whose owner is meant.
    pub user: String,
    /// Name, number, or the path of a file whose group is meant.
    pub group: String,
    /// Further groups, in this order.
    #[serde(
        rename = "supplementaryGIDs",
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null::as_default"
    )]
    pub supplementary_gids: Vec<u32>,
    /// Programs around the life of the app.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub event_handlers: Vec<EventHandler>,
    /// Absolute, or empty for `/`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub working_directory: String,
    /// Variables of the app.
    #[serde(skip_serializing_if = "Environment::is_empty", deserialize_with = "null::as_default")]
    pub environment: Environment,
    /// Where volumes belong.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub mount_points: Vec<MountPoint>,
    /// Ports the app listens on.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null::as_default")]
    pub ports: Vec<Port>,
    /// Limits and privileges.
    #[serde(skip_serializing_if = "Isolators::is_empty", deserialize_with = "null::as_default")]
    pub isolators: Isolators,
    /// Free annotations of users.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null::as_default")]
    pub user_annotations: BTreeMap<String, String>,
    /// Free labels of users.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null::as_default")]
    pub user_labels: BTreeMap<String, String>,
}

/// A program that runs before or after the app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventHandler {
    /// When it runs.
    pub name: EventHandlerName,
    /// The program and its arguments.
    pub exec: Vec<String>,
}

/// When an event handler runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventHandlerName {
    /// Before the app; its failure prevents the app.
    PreStart,
    /// After the app has ended.
    PostStop,
}

impl EventHandlerName {
    /// The name as manifests spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreStart => "pre-start",
            Self::PostStop => "post-stop",
        }
    }
}

/// A port an app listens on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Port {
    /// Its name, by which it is forwarded.
    pub name: AcName,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// First number.
    pub port: u32,
    /// How many numbers from the first on.
    #[serde(default = "one")]
    pub count: u32,
    /// Whether the host listens and hands the socket over.
    #[serde(default)]
    pub socket_activated: bool,
}

fn one() -> u32 {
    1
}

impl Port {
    /// Numbers stay between 1 and 65535.
    pub fn validate(&self) -> Result<(), AppError> {
        let end = self.port.checked_add(self.count).filter(|end| *end <= 65536);
        if self.port == 0 || self.count == 0 || end.is_none() {
            return Err(AppError::PortRange { name: self.name.clone(), port: self.port, count: self.count });
        }
        Ok(())
    }
}

impl App {
    /// Checks the rules of the specification's app section.
    pub fn validate(&self) -> Result<(), AppError> {
        for (what, value) in [("user", &self.user), ("group", &self.group)] {
            if value.is_empty() {
                return Err(AppError::Missing(what));
            }
        }
        if !self.working_directory.is_empty() {
            absolute("workingDirectory", &self.working_directory)?;
        }
        self.environment.validate().map_err(AppError::Environment)?;
        for (position, handler) in self.event_handlers.iter().enumerate() {
            if self.event_handlers[..position].iter().any(|earlier| earlier.name == handler.name) {
                return Err(AppError::DuplicateEventHandler(handler.name.as_str()));
            }
        }
        for mount_point in &self.mount_points {
            absolute("Path of mount point", &mount_point.path)?;
        }
        self.ports.iter().try_for_each(Port::validate)?;
        Ok(self.isolators.validate()?)
    }
}

pub(crate) fn absolute(what: &'static str, path: &str) -> Result<(), AppError> {
    if path.starts_with('/') { Ok(()) } else { Err(AppError::RelativePath { what, path: path.to_owned() }) }
}

#[cfg(test)]
mod tests;
