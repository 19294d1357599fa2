//! Requests to the file servers that lead out of their shares, or are no requests.

mod hoards;
mod outside;
mod quota;
mod races;
mod requests;

use hostile_kernel::{fuse::ROOT, outcome::Outcome};

use super::Table;
use crate::machine::Guest;

pub(super) const ATTACKS: Table = &[
    ("fs-parent-of-root", |guest| outside::names(guest, b"..")),
    ("fs-root-itself", |guest| outside::names(guest, b".")),
    ("fs-empty-name", |guest| outside::names(guest, b"")),
    ("fs-absolute-name", |guest| outside::names(guest, b"/etc")),
    ("fs-path-as-name", |guest| outside::names(guest, b"x/../../../../../../etc")),
    ("fs-long-name", |guest| outside::names(guest, &[b'a'; 300])),
    ("fs-name-without-end", outside::name_without_end),
    ("fs-create-outside", outside::create_outside),
    ("fs-rename-outside", outside::rename_outside),
    ("fs-through-link", outside::through_link),
    ("fs-open-link", outside::open_link),
    ("fs-create-at-link", outside::create_at_link),
    ("fs-truncate-link", outside::truncate_link),
    ("fs-link-race", races::link_race),
    ("fs-open-fifo", |guest| outside::open_special(guest, "fifo")),
    ("fs-open-device", |guest| outside::open_special(guest, "device")),
    ("fs-open-made-device", outside::open_made_device),
    ("fs-write-read-only", outside::write_read_only),
    ("fs-rename-between-volumes", outside::rename_between_volumes),
    ("fs-link-between-volumes", outside::link_between_volumes),
    ("fs-sound-read", requests::sound_read),
    ("fs-node-never-given", requests::node_never_given),
    ("fs-node-of-other-share", requests::node_of_other_share),
    ("fs-handle-never-given", requests::handle_never_given),
    ("fs-opens-of-unknown-nodes", hoards::opens_of_unknown_nodes),
    ("fs-lengths-of-4g", requests::lengths_of_4g),
    ("fs-header-lengths", requests::header_lengths),
    ("fs-huge-offsets", requests::huge_offsets),
    ("fs-forget-root", requests::forget_root),
    ("fs-forget-billions", requests::forget_billions),
    ("fs-indirect-in-registers", requests::indirect_in_registers),
    ("fs-indirect-in-indirect", requests::indirect_in_indirect),
    ("fs-answer-over-request", requests::answer_over_request),
    ("fs-init-of-a-stranger", requests::init_of_a_stranger),
    ("fs-init-in-between", requests::init_in_between),
    ("fs-never-forget", hoards::never_forget),
    ("fs-never-release", hoards::never_release),
    ("fs-quota", quota::all_of_it),
    ("fs-any-request", requests::any_request),
    ("fs-sound-request", |guest| {
        guest.unmount();
        requests::attributes(guest.volumes(), ROOT).outcome()
    }),
    ("fs-leaks", leaks),
];

/// `O_RDWR`, `O_TRUNC`, `O_CREAT`.
const READ_WRITE: u32 = 2;
const TRUNCATE: u32 = 0o1000;
const CREATE: u32 = 0o100;
/// A lie of the largest kind.
const HUGE: u32 = u32::MAX;
/// The test's volumes: one to write to, one not, and another to write to.
const VOLUME: &str = "0";
const READ_ONLY: &str = "1";
const OTHER: &str = "2";

/// Whether any answer to all of this held a byte of the canary.
fn leaks(guest: &mut Guest) -> Outcome {
    let leaked = guest.has_leaked();
    Outcome::Is(if leaked { "the canary" } else { "nothing" })
}
