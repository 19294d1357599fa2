//! `stage1`: the entrypoints stage0 calls.
fn main() {}
