//! How long tests go on that could go on for ever.

/// What `RKT_ENDURANCE` says, by which those tests multiply what they do; 1 by default.
pub fn endurance() -> u64 {
    std::env::var("RKT_ENDURANCE").ok().and_then(|number| number.parse().ok()).unwrap_or(1)
}
