//! How results look: tables, times, JSON.

mod duration;
mod json;
mod size;
mod table;
mod time;

pub use duration::{GoDuration, InvalidDuration};
pub use json::{Format, InvalidFormat, to_json, to_pretty_json};
pub use size::short_size;
pub use table::Table;
pub use time::{full_time, short_time, since};
