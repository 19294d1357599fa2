//! The binary `rkt` with pods whose stage1 is a shell script: everything up to the stage1 interface, without a guest.
//!
//! Needs root, for mounts. Each test has a data directory of its own, on a tmpfs so that overlays work anywhere.

#![allow(clippy::unwrap_used)] // A test that cannot go on says where.

mod bed;

mod command_line;
mod crowd;
mod disks;
mod export;
mod images;
mod kills;
mod life_cycle;
mod list;
mod logs;
mod manifest;
mod old_spellings;
mod reboot;
mod stage1_choice;
mod stage1_interface;
mod unprivileged;
#[path = "../loopback/web.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod web;
