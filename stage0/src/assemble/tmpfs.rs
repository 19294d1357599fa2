//! `--tmpfs=PATH[:OPTION,…]` and `--shm-size=QUANTITY`: volumes in memory that one app alone has.

use appc::{Mount, Volume};

/// Permissions of a directory that everyone may put files in, as Docker has them.
const MODE: &str = "1777";

/// A volume in memory at a path: `PATH[:size=QUANTITY][,mode=OCTAL][,uid=N][,gid=N][,ro|rw]`.
pub fn tmpfs(text: &str) -> Result<Mount, String> {
    let (path, options) = text.split_once(':').unwrap_or((text, ""));
    if !path.starts_with('/') {
        return Err(format!("\"{path}\" is not an absolute path"));
    }
    let mut volume = "tmpfs,kind=empty,medium=memory".to_owned();
    for option in options.split(',').filter(|option| !matches!(*option, "" | "rw")) {
        volume.push(',');
        volume.push_str(match option {
            "ro" => "readOnly=true",
            option => option,
        });
    }
    if !options.split(',').any(|option| option.starts_with("mode=")) {
        volume.push_str(",mode=");
        volume.push_str(MODE);
    }
    mount(path, &volume)
}

/// The `/dev/shm` of an app that has one of its own.
pub fn shm(size: &str) -> Result<Mount, String> {
    mount("/dev/shm", &format!("shm,kind=empty,medium=memory,mode={MODE},size={size}"))
}

fn mount(path: &str, volume: &str) -> Result<Mount, String> {
    let volume: Volume =
        volume.parse().map_err(|error: <Volume as std::str::FromStr>::Err| error.to_string())?;
    Ok(Mount { volume: volume.name.clone(), path: path.to_owned(), app_volume: Some(volume) })
}

#[cfg(test)]
mod tests {
    use appc::VolumeKind;

    use super::*;

    fn made(mount: Mount) -> (String, VolumeKind, Option<bool>) {
        let volume = mount.app_volume.unwrap();
        (mount.path, volume.kind, volume.read_only)
    }

    #[test]
    fn options_are_dockers() {
        let kind = |mode, uid, size| VolumeKind::Memory { mode, uid, gid: 0, size };
        for (text, path, expected, read_only) in [
            ("/run", "/run", kind(0o1777, 0, None), None),
            ("/run:rw,size=64M", "/run", kind(0o1777, 0, Some(64_000_000)), None),
            ("/a:mode=700,uid=5,size=65536k,ro", "/a", kind(0o700, 5, Some(65_536_000)), Some(true)),
        ] {
            assert_eq!(made(tmpfs(text).unwrap()), (path.to_owned(), expected, read_only), "{text}");
        }
        let shm = made(shm("64Mi").unwrap());
        assert_eq!(shm, ("/dev/shm".to_owned(), kind(0o1777, 0, Some(64 << 20)), None));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, message) in [
            ("", "not an absolute path"),
            ("run:size=1M", "not an absolute path"),
            ("/run:size=64m", "must be 4096 bytes or more"),
            ("/run:noexec", "must be KEY=VALUE"),
            ("/run:nr_inodes=5", "unknown parameter"),
            ("/run:kind=host", "given twice"),
        ] {
            let error = tmpfs(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
        assert!(shm("0").unwrap_err().contains("4096"));
        assert!(shm("1M,mode=0").unwrap_err().contains("given twice"));
    }
}
