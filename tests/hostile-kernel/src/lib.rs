//! What the hostile kernel says to devices, as bytes: all of it that needs no machine.
#![cfg_attr(not(test), no_std)]

pub mod descriptor;
pub mod fuse;
pub mod outcome;
pub mod random;
pub mod script;
pub mod vsock;
