//! Which queue of a tap a packet for the guest goes to.
//!
//! Left to itself, the kernel sends a flow to the queue that the guest last answered from. A guest's process that moves
//! between CPUs answers from one queue and then from another, and what waits in the first is overtaken by what comes
//! through the second: to TCP that looks like loss. A program in the kernel keeps every flow in one queue instead.

use std::{
    ffi::{c_int, c_ulong},
    fs::File,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use libc::{ETH_P_IP, ETH_P_IPV6, IPPROTO_TCP, IPPROTO_UDP};

/// `TUNSETSTEERINGEBPF` of `linux/if_tun.h`.
const TUNSETSTEERINGEBPF: c_ulong = 0x8004_54e0;
/// `BPF_PROG_LOAD` and `BPF_PROG_TYPE_SOCKET_FILTER` of `linux/bpf.h`.
const PROG_LOAD: c_int = 5;
const SOCKET_FILTER: u32 = 1;

/// Operations, as `linux/bpf.h` and `linux/bpf_common.h` compose them: class, size or operand, mode or operation.
const LOAD_BYTE: u8 = 0x30;
const LOAD_HALF: u8 = 0x28;
const LOAD_WORD: u8 = 0x20;
const LOAD_WORD_AT: u8 = 0x40;
const SET: u8 = 0xb7;
const COPY: u8 = 0xbf;
const ADD: u8 = 0x07;
const ADD_REGISTER: u8 = 0x0f;
const AND: u8 = 0x57;
const SHIFT_LEFT: u8 = 0x67;
const MULTIPLY_32: u8 = 0x24;
const SHIFT_RIGHT_32: u8 = 0x74;
const JUMP: u8 = 0x05;
const JUMP_EQUAL: u8 = 0x15;
const JUMP_UNEQUAL: u8 = 0x55;
const JUMP_BITS: u8 = 0x45;
const EXIT: u8 = 0x95;

/// Registers: of the result and of loaded values, of the packet as it is passed and as loads want it, and our own.
const VALUE: u8 = 0;
const ARGUMENT: u8 = 1;
const PACKET: u8 = 6;
const HASH: u8 = 7;
const TRANSPORT: u8 = 8;

/// Offsets in an Ethernet frame, in bytes.
const ETHER_TYPE: i32 = 12;
const IP: i32 = 14;
const IPV4_FRAGMENT: i32 = IP + 6;
const IPV4_PROTOCOL: i32 = IP + 9;
const IPV4_ADDRESSES: i32 = IP + 12;
const IPV6_NEXT_HEADER: i32 = IP + 6;
const IPV6_ADDRESSES: i32 = IP + 8;
const IPV6_LEN: i32 = 40;
/// More fragments, or an offset: not every fragment has ports.
const FRAGMENT_BITS: i32 = 0x3fff;
/// The golden ratio in 32 bits: after a product with it, the upper bits depend on all of a number's.
const GOLDEN_RATIO: i32 = 0x9e37_79b1_u32 as i32;

/// `struct bpf_insn` of `linux/bpf.h`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct Instruction {
    operation: u8,
    /// Destination in the lower half, source in the upper one.
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// What `BPF_PROG_LOAD` takes (`union bpf_attr` of `linux/bpf.h`), as far as it is not zero.
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
}

/// Makes a tap with several queues give all packets of a flow to the same one. Needs a kernel with BPF, and privilege to
/// use it; without, the tap works as before.
pub(super) fn by_flow(queue: &File) -> io::Result<()> {
    let program = verified(&program())?;
    let number: RawFd = program.as_raw_fd();
    // SAFETY: the request reads one `int`. The interface keeps the program when its descriptor is closed.
    let result = unsafe { libc::ioctl(queue.as_raw_fd(), TUNSETSTEERINGEBPF, &number) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Hands a program to the kernel, which refuses one that could do harm.
fn verified(program: &[Instruction]) -> io::Result<OwnedFd> {
    let request = Load {
        kind: SOCKET_FILTER,
        count: program.len() as u32,
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
    };
    // SAFETY: the kernel reads `request`, whose size it is told, and the program and text it points to, which outlive
    // the call.
    let number = unsafe { libc::syscall(libc::SYS_bpf, PROG_LOAD, &request, size_of::<Load>()) };
    if number < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded: the descriptor is new, and ours.
    Ok(unsafe { OwnedFd::from_raw_fd(number as RawFd) })
}

/// A number from addresses and, for TCP and UDP, ports; the kernel takes it modulo the number of queues. What is neither
/// IPv4 nor IPv6 goes to the first queue, and so does what ends too early: a load beyond the end is the program's end.
fn program() -> Vec<Instruction> {
    let end = [
        set(MULTIPLY_32, HASH, GOLDEN_RATIO),
        set(SHIFT_RIGHT_32, HASH, 16),
        with(COPY, VALUE, HASH),
        set(EXIT, VALUE, 0),
    ];
    let add_ports = [with(LOAD_WORD_AT, VALUE, TRANSPORT), with(ADD_REGISTER, HASH, VALUE)];
    let ports = [
        &[jump(JUMP_EQUAL, IPPROTO_TCP, 1), jump(JUMP_UNEQUAL, IPPROTO_UDP, add_ports.len())][..],
        &add_ports,
    ]
    .concat();
    let ipv4_transport = [
        load(LOAD_BYTE, IP),
        // The header's length in words.
        set(AND, VALUE, 0xf),
        set(SHIFT_LEFT, VALUE, 2),
        with(COPY, TRANSPORT, VALUE),
        set(ADD, TRANSPORT, IP),
        load(LOAD_BYTE, IPV4_PROTOCOL),
    ];
    let fragment = jump(JUMP_BITS, FRAGMENT_BITS, ipv4_transport.len() + ports.len());
    let ipv4 = [add_words(IPV4_ADDRESSES, 2), vec![load(LOAD_HALF, IPV4_FRAGMENT), fragment]].concat();
    let ipv4 = [ipv4, ipv4_transport.to_vec()].concat();
    let ipv6_transport =
        [set(SET, TRANSPORT, IP + IPV6_LEN), load(LOAD_BYTE, IPV6_NEXT_HEADER), jump(JUMP, 0, ipv4.len())];
    let ipv6 = [add_words(IPV6_ADDRESSES, 8), ipv6_transport.to_vec()].concat();
    let start = [
        with(COPY, PACKET, ARGUMENT),
        set(SET, HASH, 0),
        load(LOAD_HALF, ETHER_TYPE),
        jump(JUMP_EQUAL, ETH_P_IP, 1 + ipv6.len()),
        jump(JUMP_UNEQUAL, ETH_P_IPV6, ipv6.len() + ipv4.len() + ports.len()),
    ];
    [&start[..], &ipv6, &ipv4, &ports, &end].concat()
}

/// Adds `count` words of the packet to the hash.
fn add_words(at: i32, count: i32) -> Vec<Instruction> {
    let word = |index| [load(LOAD_WORD, at + 4 * index), with(ADD_REGISTER, HASH, VALUE)];
    (0..count).flat_map(word).collect()
}

/// An operation on a register and a constant.
fn set(operation: u8, register: u8, immediate: i32) -> Instruction {
    Instruction { operation, registers: register, offset: 0, immediate }
}

/// An operation on two registers.
fn with(operation: u8, to: u8, from: u8) -> Instruction {
    Instruction { operation, registers: from << 4 | to, offset: 0, immediate: 0 }
}

/// Loads [`VALUE`] from the packet.
fn load(operation: u8, at: i32) -> Instruction {
    set(operation, VALUE, at)
}

/// Skips instructions if [`VALUE`] compares so.
fn jump(operation: u8, immediate: i32, skipped: usize) -> Instruction {
    Instruction { operation, registers: VALUE, offset: skipped as i16, immediate }
}

#[cfg(test)]
mod tests;
