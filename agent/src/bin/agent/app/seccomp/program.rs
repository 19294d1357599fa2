//! Filters as the kernel runs them: classic BPF over `struct seccomp_data` (seccomp(2)).

use std::io;

use nix::errno::Errno;
use nix::libc::{self, sock_filter, sock_fprog};
use syscalls::Sysno;

/// `AUDIT_ARCH_X86_64` of `include/uapi/linux/audit.h`.
const ARCHITECTURE: u32 = 0xc000_003e;
/// Offsets in `struct seccomp_data`.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is made.
    Allow,
    /// It fails with an error.
    Fail(Errno),
    /// The process dies by SIGSYS.
    Kill,
}

impl Action {
    fn value(self) -> u32 {
        match self {
            Self::Allow => libc::SECCOMP_RET_ALLOW,
            Self::Fail(error) => libc::SECCOMP_RET_ERRNO | error as u32,
            Self::Kill => libc::SECCOMP_RET_KILL_PROCESS,
        }
    }
}

/// A compiled filter.
#[derive(Debug, Clone)]
pub struct Program(Vec<sock_filter>);

impl Program {
    /// Compiles a filter. `listed` is in ascending order.
    ///
    /// Calls newer than the agent are unknown to whoever wrote the list: they do not exist, which programs can handle.
    pub fn new(listed: impl Iterator<Item = u32>, on_listed: Action, otherwise: Action) -> Self {
        let mut code = vec![
            load(ARCHITECTURE_AT),
            jump(libc::BPF_JEQ, ARCHITECTURE, 1, 0),
            ret(Action::Kill.value()),
            load(NUMBER_AT),
            jump(libc::BPF_JGT, Sysno::last().id() as u32, 0, 1),
            ret(Action::Fail(Errno::ENOSYS).value()),
        ];
        for (first, last) in ranges(listed) {
            code.extend([
                jump(libc::BPF_JGE, first, 1, 0),
                ret(otherwise.value()),
                jump(libc::BPF_JGT, last, 1, 0),
                ret(on_listed.value()),
            ]);
        }
        code.push(ret(otherwise.value()));
        Self(code)
    }

    /// Puts the calling process, and all it becomes, under the filter. Needs no_new_privs or CAP_SYS_ADMIN.
    pub fn install(&self) -> io::Result<()> {
        let len = u16::try_from(self.0.len()).map_err(io::Error::other)?;
        let program = sock_fprog { len, filter: self.0.as_ptr().cast_mut() };
        // SAFETY: the pointers are those of a live program of `len` instructions, which the kernel only reads.
        let result =
            unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0) };
        Errno::result(result).map(drop).map_err(io::Error::from)
    }
}

/// Runs of consecutive numbers.
fn ranges(numbers: impl Iterator<Item = u32>) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    ranges
}

fn load(offset: u32) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0)
}

/// A comparison of the loaded word, and how many instructions to skip if it is true or false.
fn jump(kind: u32, value: u32, yes: u8, no: u8) -> sock_filter {
    instruction(libc::BPF_JMP | kind | libc::BPF_K, value, yes, no)
}

fn ret(value: u32) -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, value, 0, 0)
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

#[cfg(test)]
impl Program {
    /// Runs the filter on a call, as the kernel would.
    pub fn run(&self, architecture: u32, number: u32) -> u32 {
        let (mut at, mut word) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = self.0[at];
            let skip = |yes: bool| usize::from(if yes { jt } else { jf });
            at += 1;
            match u32::from(code) {
                0x20 => word = if k == NUMBER_AT { number } else { architecture },
                0x15 => at += skip(word == k),
                0x25 => at += skip(word > k),
                0x35 => at += skip(word >= k),
                0x06 => return k,
                other => panic!("{other:#x}"),
            }
        }
    }

    /// Runs the filter on a call of this architecture.
    pub fn outcome(&self, number: u32) -> u32 {
        self.run(ARCHITECTURE, number)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn exactly_the_listed_calls_are_special(listed in prop::collection::btree_set(0u32..460, 0..200)) {
            let program = Program::new(listed.iter().copied(), Action::Kill, Action::Allow);
            check(&program, &listed)?;
        }
    }

    fn check(program: &Program, listed: &BTreeSet<u32>) -> Result<(), TestCaseError> {
        for number in 0..=Sysno::last().id() as u32 {
            let expected = if listed.contains(&number) { Action::Kill } else { Action::Allow };
            prop_assert_eq!(program.outcome(number), expected.value());
        }
        Ok(())
    }

    #[test]
    fn the_unknown_does_not_exist_and_other_architectures_die() {
        let program = Program::new([0].into_iter(), Action::Allow, Action::Kill);
        let absent = Action::Fail(Errno::ENOSYS).value();
        assert_eq!(program.outcome(Sysno::last().id() as u32 + 1), absent);
        assert_eq!(program.outcome(0x4000_0000), absent, "x32");
        assert_eq!(program.run(0x4000_0003, 0), Action::Kill.value(), "i386");
    }
}
