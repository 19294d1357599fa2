//! `stage1` with the hostile hook (`jail::hostile`): what `tests/tests/hostile_stage1.rs` runs pods with. An example, so that
//! it is never what is installed.

#[path = "../src/main.rs"]
mod stage1;

fn main() {
    stage1::main();
}
