//! stage1, which gives a pod its isolation: choosing an image, and calling its entrypoints (reference §3).

mod call;
mod choice;
mod find;
mod interface;
mod run;

pub use call::{CallError, ask, call, call_for_app, enter_program, exec};
pub use choice::Choice;
pub use find::{FindError, find};
pub use interface::{Entrypoint, InterfaceError, Stage1};
pub use run::{DnsMode, HostsMode, RunArguments};
