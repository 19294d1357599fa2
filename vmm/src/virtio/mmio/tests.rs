use proptest::prelude::*;

use crate::virtio::{conformance::Driver, rng::Rng};

#[derive(Debug, Clone)]
enum Access {
    Read(u64, usize),
    Write(u64, Vec<u8>),
}

/// Values that get far: small numbers, addresses in memory, selectors; and anything.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let words = prop_oneof![0..32u32, Just(0x10_0000), Just(u32::MAX), Just(15), any::<u32>()];
    prop_oneof![
        8 => words.prop_map(|word| word.to_le_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..=8),
    ]
}

fn access() -> impl Strategy<Value = Access> {
    let offset =
        prop_oneof![6 => (0..0x48u64).prop_map(|word| word * 4), 1 => 0..0x1000u64, 1 => any::<u64>()];
    prop_oneof![
        (offset.clone(), 0..=8usize).prop_map(|(offset, width)| Access::Read(offset, width)),
        (offset, value()).prop_map(|(offset, data)| Access::Write(offset, data)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_accesses_are_survived(accesses in proptest::collection::vec(access(), 1..200)) {
        let mut driver = Driver::new(Box::new(Rng::default()));
        for access in accesses {
            match access {
                Access::Read(offset, width) => driver.transport.read(offset, &mut [0; 8][..width]),
                Access::Write(offset, data) => driver.transport.write(offset, &data),
            }
        }
        driver.reset();
        driver.start();
    }
}
