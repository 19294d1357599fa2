//! Go writes an empty list of a manifest as `null`; so must we, and we must read it back.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Reads `null` as the type's default.
pub(crate) fn as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Writes a value equal to the type's default as `null`.
pub(crate) fn if_default<S, T>(value: &T, serializer: S) -> Result<S::Ok, S::Error>
where
    S: Serializer,
    T: Default + PartialEq + Serialize,
{
    if *value == T::default() { serializer.serialize_none() } else { value.serialize(serializer) }
}
