//! Flags of `run`, `prepare` and `run-prepared` (reference §2.4).

mod image_words;
mod prepare;
mod running;
mod stage1;

pub use image_words::{Request, grammar_command, image_command, image_help, parse_words};
pub use prepare::PrepareFlags;
pub use running::RunningFlags;
pub use stage1::Stage1Flags;
