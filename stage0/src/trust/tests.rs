use super::*;

#[test]
fn fingerprints_are_grouped_for_comparing() {
    let text = PublicKey::grouped("8b86de38890ddb7291867b025210bd8888182190");
    assert_eq!(text, "8B86 DE38 890D DB72 9186  7B02 5210 BD88 8818 2190");
}

#[test]
fn scopes_widen_by_path_elements() {
    let scopes = Scope::covering(&"example.com/a/b".parse().unwrap());
    let prefix = |p: &str| Scope::Prefix(p.parse().unwrap());
    assert_eq!(
        scopes,
        [Scope::Root, prefix("example.com"), prefix("example.com/a"), prefix("example.com/a/b")]
    );
}

#[test]
fn noise_is_neither_key_nor_signature() {
    for noise in [
        &b""[..],
        b"noise",
        b"-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n",
        &[0x99; 40],
        &[0xff; 9],
    ] {
        assert!(PublicKey::parse(noise, "x").is_err());
        assert!(Check::parse(noise).is_err());
    }
}

#[test]
fn key_files_are_named_by_fingerprint() {
    let dir = tempfile::tempdir().unwrap();
    let store = Keystore::new(&dir.path().join("system"), &dir.path().join("local"));
    let root = dir.path().join("system/trustedkeys/root.d");
    std::fs::create_dir_all(&root).unwrap();
    assert!(store.keys_for(&"a".parse().unwrap()).unwrap().is_empty());
    std::fs::write(root.join("README"), "not a key").unwrap();
    std::fs::write(root.join("0".repeat(40)), "").unwrap();
    assert!(store.keys_for(&"a".parse().unwrap()).unwrap().is_empty());
    std::fs::write(root.join("1".repeat(40)), "not a key").unwrap();
    assert!(matches!(
        store.keys_for(&"a".parse().unwrap()),
        Err(TrustError::Key { .. } | TrustError::NoKey(_))
    ));
}
