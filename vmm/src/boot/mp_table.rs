//! CPUs and interrupt wiring, as a PC without ACPI says it (Intel MultiProcessor Specification 1.4, chapter 4).

use vm_memory::{Bytes, GuestAddress, GuestMemoryError, GuestMemoryMmap};

use crate::memory::layout;

/// Interrupt lines of KVM's IOAPIC.
pub const IOAPIC_LINES: u32 = 24;

/// Version 1.4 of the specification.
const SPECIFICATION: u8 = 4;
/// Version of an APIC that is part of the CPU.
const LOCAL_APIC_VERSION: u8 = 0x14;
/// Version of the IOAPIC KVM has.
const IOAPIC_VERSION: u8 = 0x11;

/// Processor entry: it is there.
const CPU_ENABLED: u8 = 1;
/// Processor entry: it boots.
const CPU_BOOTS: u8 = 2;

/// Interrupt type of devices.
const INTERRUPT: u8 = 0;
/// Interrupt type of NMIs.
const NMI: u8 = 1;
/// Interrupt type of the old interrupt controller.
const EXTERNAL: u8 = 3;
/// Destination "all local APICs".
const ALL: u8 = 0xff;
/// Bytes of the floating pointer, behind which the table begins.
const POINTER: usize = 16;
/// Bytes of the table's header.
const HEADER: usize = 44;

/// Writes the table for `cpus` CPUs, whose APICs have their numbers from 0, and an IOAPIC with the next number. The guest
/// gives every line it is told of a vector and unmasks it, so it is told of the `lines` that something is connected to.
pub fn write(memory: &GuestMemoryMmap, cpus: u32, lines: &[u32]) -> Result<(), GuestMemoryError> {
    let address = layout::MP_TABLE;
    memory.write_slice(&pointer(address as u32 + POINTER as u32), GuestAddress(address))?;
    memory.write_slice(&table(cpus as u8, lines), GuestAddress(address + POINTER as u64))
}

/// The floating pointer (§4.1).
fn pointer(table: u32) -> Vec<u8> {
    let mut bytes = b"_MP_".to_vec();
    bytes.extend(table.to_le_bytes());
    // Length in units of 16 bytes, version, checksum, and five bytes of features: there is a table.
    bytes.extend([1, SPECIFICATION, 0, 0, 0, 0, 0, 0]);
    bytes[10] = checksum(&bytes);
    bytes
}

/// Header and entries (§4.2, §4.3).
fn table(cpus: u8, lines: &[u32]) -> Vec<u8> {
    let ioapic = cpus;
    let mut entries: Vec<Vec<u8>> = (0..cpus).map(processor).collect();
    entries.push([&[1, 0], b"ISA   ".as_slice()].concat());
    entries.push([[2, ioapic, IOAPIC_VERSION, CPU_ENABLED], layout::IOAPIC.to_le_bytes()].concat());
    // Polarity and trigger as on the bus: active high, edge.
    entries.extend(lines.iter().map(|line| vec![3, INTERRUPT, 0, 0, 0, *line as u8, ioapic, *line as u8]));
    entries.push(vec![4, EXTERNAL, 0, 0, 0, 0, 0, 0]);
    entries.push(vec![4, NMI, 0, 0, 0, 0, ALL, 1]);

    let count = entries.len() as u16;
    let entries = entries.concat();
    let length = (HEADER + entries.len()) as u16;
    let mut bytes = b"PCMP".to_vec();
    bytes.extend(length.to_le_bytes());
    bytes.extend([SPECIFICATION, 0]);
    bytes.extend(b"RKT     MICROVM     ");
    // No table of the manufacturer: address and size.
    bytes.extend([0; 6]);
    bytes.extend(count.to_le_bytes());
    bytes.extend(layout::LOCAL_APIC.to_le_bytes());
    // No extended table.
    bytes.extend([0; 4]);
    bytes.extend(entries);
    bytes[7] = checksum(&bytes);
    bytes
}

fn processor(number: u8) -> Vec<u8> {
    let flags = if number == 0 { CPU_ENABLED | CPU_BOOTS } else { CPU_ENABLED };
    let mut entry = vec![0, number, LOCAL_APIC_VERSION, flags];
    // Signature and features, which CPUID tells better, and two reserved words.
    entry.extend([0; 16]);
    entry
}

/// What makes the sum of all bytes zero.
fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg()
}
