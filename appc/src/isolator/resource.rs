//! Isolators of resources.

use serde::{Deserialize, Serialize};

use crate::types::Quantity;

/// A limit of a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resource {
    /// Whether the value holds for what has no own isolator.
    pub default: bool,
    /// What the app expects to have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Quantity>,
    /// What the app cannot exceed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Quantity>,
}

impl Resource {
    /// A limit without a request, as rkt's flags make it.
    pub fn limit(limit: Quantity) -> Self {
        Self { default: false, request: None, limit: Some(limit) }
    }

    /// The same of a bandwidth, which can only be a default.
    pub fn default_limit(limit: Quantity) -> Self {
        Self { default: true, ..Self::limit(limit) }
    }

    /// Memory and CPU: not a default.
    pub(super) fn check_own(&self) -> Result<(), &'static str> {
        if self.default { Err("default must be false") } else { Ok(()) }
    }

    /// Bandwidths: a default without a request.
    pub(super) fn check_default(&self) -> Result<(), &'static str> {
        match (self.default, self.request) {
            (false, _) => Err("default must be true"),
            (true, Some(_)) => Err("request is not supported, must be empty"),
            (true, None) => Ok(()),
        }
    }
}
