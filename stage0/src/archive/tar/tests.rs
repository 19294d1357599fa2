use super::*;
use crate::archive::forge::Forge;
use proptest::prelude::*;
use std::io::Read;

/// All entries with their stored bytes.
fn read(bytes: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, TarError> {
    let mut reader = TarReader::new(bytes, 1000);
    let mut out = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut data = Vec::new();
        reader.read_to_end(&mut data)?;
        out.push((entry, data));
    }
    Ok(out)
}

#[test]
fn reads_what_the_tar_crate_writes() {
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(200));
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o4755);
    header.set_uid(1 << 22);
    header.set_gid(7);
    header.set_mtime(42);
    builder.append_data(&mut header, &long, &b"hello"[..]).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    builder.append_link(&mut header, "link", &long).unwrap();
    let entries = read(&builder.into_inner().unwrap()).unwrap();
    let (file, data) = &entries[0];
    assert_eq!((&file.name[..], &data[..]), (long.as_bytes(), &b"hello"[..]));
    assert_eq!((file.mode, file.uid, file.gid, file.mtime), (0o4755, 1 << 22, 7, (42, 0)));
    assert_eq!((entries[1].0.kind, &entries[1].0.link[..]), (Kind::Symlink, long.as_bytes()));
}

#[test]
fn pax_records_override_the_header() {
    let bytes = Forge::new()
        .pax(&[
            ("path", b"a/\xff"),
            ("uid", b"4000000000"),
            ("mtime", b"-1.5"),
            ("SCHILY.xattr.user.x", b"\0\n="),
            ("size", b"3"),
        ])
        .raw(b'0', b"short", b"", b"abc", |h| h.set_size(0))
        .file("next", b"")
        .finish();
    let entries = read(&bytes).unwrap();
    let (entry, data) = &entries[0];
    assert_eq!((&entry.name[..], entry.uid, entry.mtime), (&b"a/\xff"[..], 4_000_000_000, (-2, 500_000_000)));
    assert_eq!(entry.xattrs, [(b"user.x".to_vec(), b"\0\n=".to_vec())]);
    assert_eq!(&data[..], b"abc");
    assert_eq!(&entries[1].0.name[..], b"next");
}

#[test]
fn sparse_maps_of_all_formats() {
    let data = b"AAAABB";
    let v0 = [
        ("GNU.sparse.size", &b"100"[..]),
        ("GNU.sparse.numblocks", b"2"),
        ("GNU.sparse.offset", b"10"),
        ("GNU.sparse.numbytes", b"4"),
        ("GNU.sparse.offset", b"50"),
        ("GNU.sparse.numbytes", b"2"),
    ];
    let v01 = [("GNU.sparse.size", &b"100"[..]), ("GNU.sparse.map", b"10,4,50,2"), ("GNU.sparse.name", b"s")];
    let v1 = [
        ("GNU.sparse.major", &b"1"[..]),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"s"),
        ("GNU.sparse.realsize", b"100"),
    ];
    let mut in_data = b"2\n10\n4\n50\n2\n".to_vec();
    in_data.resize(512, 0);
    in_data.extend_from_slice(data);
    let archives = [
        Forge::new().pax(&v0).file("s", data),
        Forge::new().pax(&v01).file("GNUSparseFile.0/s", data),
        Forge::new().pax(&v1).file("GNUSparseFile.0/s", &in_data),
        Forge::new().raw(b'S', b"s", b"", data, |h| {
            let gnu = h.as_gnu_mut().unwrap();
            gnu.realsize[..12].copy_from_slice(b"00000000144\0");
            for (i, (offset, len)) in [(10, 4), (50, 2)].into_iter().enumerate() {
                gnu.sparse[i].offset[..].copy_from_slice(format!("{offset:011o}\0").as_bytes());
                gnu.sparse[i].numbytes[..].copy_from_slice(format!("{len:011o}\0").as_bytes());
            }
        }),
    ];
    for archive in archives {
        let entries = read(&archive.file("after", b"x").finish()).unwrap();
        let (entry, stored) = &entries[0];
        assert_eq!((&entry.name[..], entry.size, &stored[..]), (&b"s"[..], 100, &data[..]));
        assert_eq!(entry.segments, [Segment { offset: 10, len: 4 }, Segment { offset: 50, len: 2 }]);
        assert_eq!((&entries[1].0.name[..], &entries[1].1[..]), (&b"after"[..], &b"x"[..]));
    }
}

#[test]
fn lying_sparse_maps_are_refused() {
    for map in ["10,4,12,2", "50,2,10,4", "98,6", "0,5", "0,7", "18446744073709551615,6", "0", "0,6,x,1"] {
        let bytes = Forge::new()
            .pax(&[("GNU.sparse.size", b"100"), ("GNU.sparse.map", map.as_bytes())])
            .file("s", b"AAAABB")
            .finish();
        assert!(matches!(read(&bytes), Err(TarError::Sparse(_) | TarError::Pax(_))), "{map}");
    }
}

#[test]
fn truncation_is_noticed_everywhere() {
    let whole = Forge::new().file("a", &[7; 700]).dir("d").finish();
    for cut in [1, 511, 512, 600, 1024, 1500, 1536, 2000, whole.len() - 1024] {
        assert!(matches!(read(&whole[..cut]), Err(TarError::Truncated(_)) | Err(TarError::Read(_))), "{cut}");
    }
    assert_eq!(read(&whole).unwrap().len(), 2);
    assert!(matches!(read(b""), Err(TarError::Truncated(0))));
}

#[test]
fn an_open_end_is_accepted_where_asked_for() {
    let whole = Forge::new().file("a", &[7; 700]).finish();
    for (end, complete) in
        [(512 + 700, true), (512 + 1024, true), (512 + 699, false), (512 + 1024 + 1, false)]
    {
        let mut reader = TarReader::new(&whole[..end], 10).open_ended();
        reader.next_entry().unwrap().unwrap();
        assert_eq!(reader.next_entry().is_ok(), complete, "{end}");
    }
    assert!(TarReader::new(&b""[..], 10).open_ended().next_entry().unwrap().is_none());
}

#[test]
fn damage_and_lies_are_refused() {
    let mut bad_sum = Forge::new().file("a", b"").finish();
    bad_sum[0] ^= 1;
    assert!(matches!(read(&bad_sum), Err(TarError::Checksum(0))));
    let huge = |h: &mut tar::Header| h.set_size(u64::MAX >> 1);
    let cases = [
        Forge::new().raw(b'0', b"a", b"", b"", huge),
        Forge::new().raw(b'L', b"a", b"", b"", |h| h.set_size(1 << 30)),
        Forge::new().raw(b'x', b"a", b"", b"", |h| h.set_size((1 << 20) + 1)),
        Forge::new().raw(b'?', b"a", b"", b"", |_| {}),
        Forge::new().raw(b'0', b"a", b"", b"", |h| h.as_old_mut().size = *b"not a number"),
        Forge::new().raw(b'0', b"a", b"", b"", |h| h.set_uid(1 << 33)),
        Forge::new().pax(&[("size", b"99999999999999999999")]).file("a", b""),
        Forge::new().raw(b'x', b"a", b"", b"garbage", |_| {}),
    ];
    for (i, case) in cases.into_iter().enumerate() {
        assert!(read(&case.finish()).is_err(), "case {i}");
    }
}

#[test]
fn what_follows_the_end_marker_is_not_read() {
    let mut joined = Forge::new().file("a", b"1").finish();
    joined.extend(Forge::new().file("b", b"2").finish());
    assert_eq!(read(&joined).unwrap().len(), 1);
}

#[test]
fn entries_are_counted() {
    let archive = (0..5).fold(Forge::new(), |f, i| f.file(&format!("f{i}"), b"")).finish();
    let mut reader = TarReader::new(&archive[..], 4);
    for _ in 0..4 {
        reader.next_entry().unwrap().unwrap();
    }
    assert!(matches!(reader.next_entry(), Err(TarError::TooManyEntries(4))));
}

#[test]
fn links_with_a_size_have_no_data() {
    let bytes = Forge::new().raw(b'1', b"l", b"t", b"", |h| h.set_size(5)).file("f", b"x").finish();
    let entries = read(&bytes).unwrap();
    assert_eq!((entries.len(), entries[0].0.size), (2, 0));
}

proptest! {
    #[test]
    fn noise_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
        let _ = read(&bytes);
    }

    /// Valid archives with a few bytes changed and the checksum of the first header set right again.
    #[test]
    fn damaged_archives_never_panic(changes in proptest::collection::vec((0usize..4000, any::<u8>()), 1..20)) {
        let mut bytes = Forge::new()
            .pax(&[("path", b"abc"), ("GNU.sparse.major", b"1"), ("GNU.sparse.realsize", b"50")])
            .file("f", &[b'1'; 700])
            .raw(b'S', b"s", b"", b"data", |_| {})
            .symlink("l", "f")
            .finish();
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        for block in bytes.chunks_exact_mut(512) {
            let mut header = tar::Header::from_byte_slice(block).clone();
            if header.as_gnu().is_some() {
                header.set_cksum();
                block.copy_from_slice(header.as_bytes());
            }
        }
        let _ = read(&bytes);
    }
}
