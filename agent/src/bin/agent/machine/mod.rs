//! The machine the agent is PID 1 of: file systems, clock, entropy, names, network.

mod cache;
mod filesystems;
mod identity;
mod memory;
mod network;
mod quiet;
mod sysctl;

pub use cache::forget_names;
pub use filesystems::{BootError, enter_root, make_root, mount_share, touch_submount};
pub use identity::{IdentityError, assume, follow_clock};
pub use memory::{provide as provide_memory, remove as remove_memory};
pub use network::{NetworkError, configure, loopback_up};
pub use quiet::{INTERVAL as QUIET_INTERVAL, Quiet};
pub use sysctl::{SysctlError, set as set_parameters};
