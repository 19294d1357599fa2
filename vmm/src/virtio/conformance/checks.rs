//! The checks of [`suite!`](super::suite). Each takes a function that makes a fresh device.

mod chains;
mod lifecycle;
mod registers;

pub use chains::*;
pub use lifecycle::*;
pub use registers::*;
