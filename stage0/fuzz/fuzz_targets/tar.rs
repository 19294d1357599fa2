//! Any bytes as an image: decompressed, read as an archive, unpacked in a cage, and checked as an ACI.
#![no_main]

use std::sync::{LazyLock, Mutex};

use libfuzzer_sys::fuzz_target;
use stage0::archive::beneath::Beneath;
use stage0::archive::name::RelPath;
use stage0::archive::{Decoder, Extractor, Kind, Limits, TarReader, Whiteouts};
use stage0_fuzz::Cage;

const LIMITS: Limits = Limits { bytes: 1 << 20, entries: 200 };
static CAGE: LazyLock<Mutex<Cage>> = LazyLock::new(Mutex::default);

fn unpack(data: &[u8], cage: &Cage, whiteouts: Whiteouts) -> Option<()> {
    let decoder = std::io::Read::take(Decoder::new(data).ok()?, LIMITS.bytes);
    let mut reader = TarReader::new(decoder, LIMITS.entries);
    let mut extractor = Extractor::new(Beneath::open(&cage.inside()).expect("the cage"), LIMITS, whiteouts);
    while let Some(entry) = reader.next_entry().ok()? {
        let path = RelPath::parse(&entry.name).ok()?;
        let link = match entry.kind {
            Kind::Hardlink => Some(RelPath::parse(&entry.link).ok()?),
            _ => None,
        };
        extractor.write(&path, &entry, link.as_ref(), &mut reader).ok()?;
    }
    extractor.finish().ok().map(drop)
}

fuzz_target!(|data: &[u8]| {
    let cage = CAGE.lock().expect("the cage");
    for whiteouts in [Whiteouts::AsFiles, Whiteouts::Overlay] {
        let _ = unpack(data, &cage, whiteouts);
        cage.check();
    }
    let _ = stage0::store::check_aci(data, LIMITS);
});
