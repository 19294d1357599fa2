//! What holds for any packet, in any buffers, with any features.

use proptest::prelude::*;
use virtio_queue::{Queue, QueueT};
use vm_memory::{Bytes, GuestAddress};

use super::{super::*, data_paths, receive, started, transmit, wire};
use crate::virtio::{
    conformance::{BUFFERS, Buffer, Driver},
    net::{tap::tests::in_fresh_namespace, used::UsedRing},
};

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(48))]

    #[test]
    fn any_buffers_of_the_guest_make_the_packet(
        length in 46..9000_usize,
        cuts in proptest::collection::btree_set(1..9012_u32, 0..30),
    ) {
        for make in data_paths() {
            let Some((mut driver, wire)) = started(1, make) else { return Ok(()) };
            let total = transmit::place(&driver, &wire::frame(length));
            let mut start = 0;
            let mut buffers = Vec::new();
            for cut in cuts.iter().copied().filter(|&cut| cut < total).chain([total]) {
                buffers.push(Buffer::readable(BUFFERS + u64::from(start), cut - start));
                start = cut;
            }
            driver.add(transmit::TX, &buffers);
            driver.wait_used(transmit::TX);
            prop_assert!(wire.receive() == wire::frame(length));
        }
    }

    #[test]
    fn any_room_of_the_guest_takes_the_packet(
        lengths in proptest::collection::vec(46..9000_usize, 1..6),
        sizes in proptest::collection::vec(12..0x11000_u32, 64),
    ) {
        for make in data_paths() {
            let Some((mut driver, wire)) = started(1, make) else { return Ok(()) };
            receive::offer(&mut driver, receive::RX, &sizes);
            let mut used = 0;
            for &length in &lengths {
                wire.send(&wire::frame(length));
                let packet = receive::take(&mut driver, receive::RX);
                prop_assert!(packet.frame == wire::frame(length));
                let (last, full) = packet.parts.split_last().unwrap();
                prop_assert_eq!(full, &sizes[used..][..full.len()]);
                prop_assert!(*last <= sizes[used + full.len()]);
                used += packet.parts.len();
            }
        }
    }

    #[test]
    fn any_features_are_ones_the_kernel_takes(features: u64) {
        let accepted = in_fresh_namespace(|| {
            let tap = Tap::create("rkt-test", 1).unwrap();
            tap.set_offloads(features::offloads(features & features::offered(&tap)))
        });
        prop_assert!(matches!(accepted, None | Some(Ok(()))));
    }

    #[test]
    fn any_features_make_a_device_that_works(features: u64, mergeable: bool) {
        let Some((device, wire)) = super::cabled(2, Net::new) else { return Ok(()) };
        let mut driver = Driver::new(Box::new(device));
        let mut features = driver.offered() & (features | 1 << 32);
        if mergeable {
            features |= 1 << VIRTIO_NET_F_MRG_RXBUF;
        }
        driver.start_with(features);
        transmit::send(&mut driver, transmit::TX, &wire::frame(100));
        prop_assert!(wire.receive() == wire::frame(100));
        receive::offer(&mut driver, receive::RX, &[0x11000; 8]);
        wire.send(&wire::frame(300));
        prop_assert!(receive::take(&mut driver, receive::RX).frame == wire::frame(300));
    }

    #[test]
    fn interrupts_are_those_of_one_chain_at_a_time(
        batches in proptest::collection::vec((1..20_usize, any::<u16>(), any::<bool>()), 1..40),
        first: u16,
    ) {
        const USED: u64 = 0x2000;
        const AVAILABLE: u64 = 0x1000;
        let memory = vm_memory::GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(0), 0x4000)]).unwrap();
        let make = || {
            let mut queue = Queue::new(64).unwrap();
            queue.try_set_avail_ring_address(GuestAddress(AVAILABLE)).unwrap();
            queue.try_set_used_ring_address(GuestAddress(USED)).unwrap();
            queue.set_event_idx(true);
            queue.set_next_used(first);
            queue.set_ready(true);
            queue
        };
        let (mut model, mut queue) = (make(), make());
        let mut ring = UsedRing::from(first);
        for (count, wish, near) in batches {
            let chains: Vec<_> = (0..count).map(|head| (head as u16, 7 * head as u32)).collect();
            for &(head, written) in &chains {
                model.add_used(&memory, head, written).unwrap();
            }
            let mut expected = [0; 8 * 64 + 4];
            memory.read_slice(&mut expected, GuestAddress(USED)).unwrap();
            memory.write_slice(&[0; 8 * 64 + 4], GuestAddress(USED)).unwrap();
            ring.publish(&mut queue, &memory, &chains);
            prop_assert_eq!(queue.next_used(), model.next_used());
            let wish = if near { queue.next_used().wrapping_sub(wish % 30) } else { wish };
            memory.write_obj(wish, GuestAddress(AVAILABLE + 4 + 2 * 64)).unwrap();
            prop_assert_eq!(
                ring.wants_interrupt(&queue, &memory),
                model.needs_notification(&memory).unwrap()
            );
            for index in 0..count as u16 {
                let at = usize::from(queue.next_used().wrapping_sub(1 + index) % 64) * 8 + 4;
                let element: u64 = memory.read_obj(GuestAddress(USED + at as u64)).unwrap();
                prop_assert_eq!(&element.to_le_bytes()[..], &expected[at..at + 8]);
            }
        }
    }
}
