use proptest::prelude::*;
use virtio_bindings::virtio_ring::VRING_DESC_F_WRITE;
use virtio_queue::{
    desc::{RawDescriptor, split::Descriptor},
    mock::MockSplitQueue,
};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

use super::*;

const BASE: u64 = 0x10_000;

fn memory() -> GuestMemoryMmap {
    GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 0x100_000)]).unwrap()
}

/// Descriptors of these lengths, one after the other from `BASE`.
fn descriptors(lengths: &[usize], flags: u32) -> Vec<RawDescriptor> {
    let mut at = BASE;
    let descriptor = |&len: &usize| {
        let descriptor = Descriptor::new(at, len as u32, flags as u16, 0);
        at += len as u64;
        descriptor.into()
    };
    lengths.iter().map(descriptor).collect()
}

fn header(len: u32) -> Header {
    Header {
        src_cid: 3,
        dst_cid: 2,
        src_port: 0x0102_0304,
        dst_port: 1024,
        len,
        kind: TYPE_STREAM,
        op: op::RW,
        flags: 0x0708,
        buf_alloc: 0x1_0000,
        fwd_cnt: 77,
    }
}

/// What a packet in descriptors of these lengths is read as.
fn read_tx(lengths: &[usize], bytes: &[u8]) -> Option<(Header, Vec<u8>)> {
    let memory = memory();
    memory.write_slice(bytes, GuestAddress(BASE)).unwrap();
    let queue = MockSplitQueue::new(&memory, 64);
    let chain = queue.build_desc_chain(&descriptors(lengths, 0)).unwrap();
    let packet = TxPacket::read(&memory, chain)?;
    let mut payload = vec![0; total_len(&packet.payload)];
    let mut at = 0;
    for slice in &packet.payload {
        at += slice.copy_to(&mut payload[at..]);
    }
    Some((packet.header, payload))
}

fn packet(len: u32, data: &[u8]) -> Vec<u8> {
    [&header(len).encode()[..], data].concat()
}

#[test]
fn the_layout_is_the_specifications() {
    let bytes = header(5).encode();
    assert_eq!(bytes[..8], [3, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes[16..20], [4, 3, 2, 1]);
    assert_eq!(bytes[24..32], [5, 0, 0, 0, 1, 0, 5, 0]);
    assert_eq!(bytes[32..44], [8, 7, 0, 0, 0, 0, 1, 0, 77, 0, 0, 0]);
}

#[test]
fn a_packet_may_be_cut_anywhere() {
    let bytes = packet(10, b"0123456789");
    for lengths in [
        vec![44, 10],
        vec![54],
        vec![44, 3, 7],
        vec![20, 24, 1, 1, 8],
        vec![1, 43, 0, 10],
        vec![50, 4],
        vec![44, 4, 20],
    ] {
        let (read, payload) = read_tx(&lengths, &bytes).unwrap();
        assert_eq!(read, header(10), "{lengths:?}");
        assert_eq!(payload, b"0123456789", "{lengths:?}");
    }
}

#[test]
fn promises_that_are_not_kept_are_refused() {
    assert!(read_tx(&[43], &packet(0, b"")).is_none());
    assert!(read_tx(&[44], &packet(0, b"")).is_some());
    assert!(read_tx(&[44, 9], &packet(10, b"0123456789")).is_none());
    assert!(read_tx(&[44, 0x2_0000], &packet(MAX_PAYLOAD + 1, b"")).is_none());
    assert!(read_tx(&[44, 0x2_0000], &packet(MAX_PAYLOAD, b"")).is_some());
    assert!(read_tx(&[44, 0x20_0000], &packet(8, b"")).is_none(), "descriptor beyond memory");
}

#[test]
fn a_buffer_too_small_for_data_is_refused() {
    let memory = memory();
    for (lengths, usable) in [(vec![44], false), (vec![30, 14], false), (vec![44, 1], true), (vec![45], true)]
    {
        let queue = MockSplitQueue::new(&memory, 64);
        let chain = queue.build_desc_chain(&descriptors(&lengths, VRING_DESC_F_WRITE)).unwrap();
        assert_eq!(RxBuffer::new(&memory, chain).is_some(), usable, "{lengths:?}");
    }
}

#[test]
fn a_reset_goes_back_where_the_packet_came_from() {
    let reset = header(5).reset();
    assert_eq!((reset.src_cid, reset.dst_cid), (2, 3));
    assert_eq!((reset.src_port, reset.dst_port), (1024, 0x0102_0304));
    assert_eq!((reset.op, reset.len), (op::RST, 0));
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        lengths in prop::collection::vec(1usize..60, 1..20),
        data in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let memory = memory();
        let queue = MockSplitQueue::new(&memory, 64);
        let chain = queue.build_desc_chain(&descriptors(&lengths, VRING_DESC_F_WRITE)).unwrap();
        let room: usize = lengths.iter().sum();
        let Some(buffer) = RxBuffer::new(&memory, chain) else {
            prop_assert!(room <= HEADER_LEN);
            return Ok(());
        };
        prop_assert_eq!(total_len(&buffer.payload), room - HEADER_LEN);
        let mut at = 0;
        for slice in &buffer.payload {
            slice.copy_from(&data[at..]);
            at = (at + slice.len()).min(data.len());
        }
        let len = buffer.finish(&header(at as u32));
        let mut written = vec![0; len as usize];
        memory.read_slice(&mut written, GuestAddress(BASE)).unwrap();
        let (read, payload) = read_tx(&lengths, &written).unwrap();
        prop_assert_eq!(read, header(at as u32));
        prop_assert_eq!(payload, &data[..at]);
    }

    #[test]
    fn any_bytes_are_read_without_panic(
        lengths in prop::collection::vec(0usize..70_000, 1..5),
        bytes in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        read_tx(&lengths, &bytes);
    }
}
