//! `rkt`: the host command line.
fn main() {}
