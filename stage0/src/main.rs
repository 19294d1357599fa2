//! `rkt`: the host command line.

fn main() -> std::process::ExitCode {
    stage0::cli::main()
}
