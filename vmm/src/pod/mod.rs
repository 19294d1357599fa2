//! The host half of a running pod: stage1's side of rkt's stage1 interface (`rkt-reference` §3).
//!
//! ```text
//! stage0 ──exec──▶ run ──▶ Supervisor ── event loop ──┬─ signals
//!                                                     ├─ control connection ──▶ Session (what the guest may say)
//!                                                     ├─ stream connections ──▶ a thread per direction: Streams
//!                                                     ├─ the pod's socket ──▶ Clients (other entrypoints)
//!                                                     └─ the machine's end
//! stage0 ──exec──▶ enter, attach ── the pod's socket ──▶ run
//! stage0 ──child─▶ app/add, app/start, …, top, stats ── the same ──▶ run
//! stage0 ──child─▶ stop ── signal ──▶ run
//! stage0 ──child─▶ gc
//! ```
//!
//! Nothing here waits for the guest or for whoever reads the pod's output, but the threads of [`streams`].

mod activation;
mod apps;
pub mod arguments;
mod attach;
mod cgroup;
mod clients;
mod clock;
mod conditions;
mod control;
mod devices;
mod diagnostics;
mod directory;
mod enter;
mod error;
mod escape;
mod gc;
mod hints;
mod host_share;
mod io_limits;
mod keeper;
mod lock;
mod logs;
mod look;
mod network;
mod notify;
mod own_root;
mod run;
pub mod session;
mod signals;
mod sizing;
mod spec;
mod stop;
mod stopping;
mod streams;
mod supervisor;
mod terminal;
mod vmm;
mod volumes;

pub use apps::{add as add_app, remove as remove_app, start as start_app, stop as stop_app};
pub use attach::attach;
pub use diagnostics::report;
pub use enter::enter;
pub use error::PodError;
pub use gc::gc;
pub use look::{stats, top};
pub use run::run;
pub use signals::Ending;
pub use stop::stop;

/// The exit status of every failure of stage1 itself (`rkt-reference` §1.1).
pub const FAILURE: i32 = 254;
