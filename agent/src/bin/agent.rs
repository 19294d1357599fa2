//! PID 1 of the micro-VM.
fn main() {}
