//! The machine the VMM made: its memory, ports, and devices.

mod console;
mod device;
mod guest;
pub mod port;
mod queue;
pub mod ram;
pub mod second;
mod share;
mod start_info;
mod time;

pub use console::write_line;
pub use device::{Device, kind, register};
pub use guest::Guest;
pub use queue::Queue;
pub use share::{Answer, Share};
pub use start_info::StartInfo;
pub use time::{PATIENCE, within};

/// Says a line to the test.
macro_rules! say {
    ($($part:tt)*) => { $crate::machine::write_line(format_args!($($part)*)) };
}
pub(crate) use say;
