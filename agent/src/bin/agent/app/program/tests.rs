use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use proptest::prelude::*;

use super::*;

fn elf(interpreter: &str) -> Vec<u8> {
    let mut file = vec![0; 64 + 56];
    file[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
    file[32] = 64;
    file[54] = 56;
    file[56] = 1;
    file[64] = PT_INTERP as u8;
    file[64 + 8] = 120;
    file[64 + 32] = interpreter.len() as u8 + 1;
    file.extend(interpreter.bytes().chain([0]));
    file
}

fn program(content: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), content).unwrap();
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o755)).unwrap();
    file
}

fn not_found() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOENT)
}

#[test]
fn a_slash_means_no_search() {
    assert_eq!(candidates("/bin/sh", "/usr/bin"), [Path::new("/bin/sh")]);
    assert_eq!(candidates("./run", "/usr/bin"), [Path::new("./run")]);
    assert_eq!(candidates("sh", "/a:/b"), [Path::new("/a/sh"), Path::new("/b/sh")]);
    assert_eq!(candidates("sh", ":/b"), [Path::new("./sh"), Path::new("/b/sh")]);
}

#[test]
fn a_missing_program_is_named() {
    let text = "Error: Unable to open \"/foo-not-there\": No such file or directory";
    assert_eq!(explain("/foo-not-there", Some(Path::new("/foo-not-there")), &not_found()), text);
    assert_eq!(
        explain("foo", None, &not_found()),
        "Error: Unable to open \"foo\": No such file or directory"
    );
    let denied = io::Error::from_raw_os_error(libc::EACCES);
    assert_eq!(
        explain("/etc", Some(Path::new("/etc")), &denied),
        "Error: Unable to open \"/etc\": Permission denied"
    );
}

#[test]
fn a_missing_interpreter_is_named() {
    let text = "Error: Unable to open \"/lib64/ld-absent.so.2\": No such file or directory";
    let binary = program(&elf("/lib64/ld-absent.so.2"));
    assert_eq!(explain("x", Some(binary.path()), &not_found()), text);
    let script = program(format!("#!  {} -x\necho", binary.path().display()).as_bytes());
    assert_eq!(explain("x", Some(script.path()), &not_found()), text);
    let script = program(b"#!/bin/absent");
    assert_eq!(
        explain("x", Some(script.path()), &not_found()),
        "Error: Unable to open \"/bin/absent\": No such file or directory"
    );
}

#[test]
fn what_cannot_work_is_foreseen() {
    assert_eq!(foresee("sh", "/nowhere:/bin"), None);
    assert_eq!(foresee("/bin/sh", ""), None);
    let absent = |name| Some(format!("Error: Unable to open \"{name}\": No such file or directory"));
    assert_eq!(foresee("/foo", "/bin"), absent("/foo"));
    assert_eq!(foresee("foo", "/bin:/usr/bin"), absent("foo"));
    let binary = program(&elf("/lib64/ld-absent.so.2"));
    assert_eq!(foresee(binary.path().to_str().unwrap(), ""), absent("/lib64/ld-absent.so.2"));
}

#[test]
fn real_programs_name_their_loader() {
    let found = interpreter(&File::open("/bin/ls").unwrap()).unwrap();
    assert!(found.to_str().unwrap().contains("ld-linux"), "{}", found.display());
    assert!(Command::new(program(&elf("/lib64/ld-absent.so.2")).path()).status().is_err());
}

#[test]
fn a_circle_of_scripts_ends() {
    let script = program(b"");
    fs::write(script.path(), format!("#!{}", script.path().display())).unwrap();
    assert!(missing_interpreter(script.path()).is_none());
}

proptest! {
    #[test]
    fn hostile_headers_never_panic(
        tail in prop::collection::vec(any::<u8>(), 0..300),
        class in 1u8..3,
        places in prop::collection::vec((0usize..300, any::<u8>()), 0..20),
    ) {
        let mut file = elf("/lib/ld.so");
        file.extend(tail);
        for (at, value) in places {
            if let Some(byte) = file.get_mut(at) {
                *byte = value;
            }
        }
        file[4] = class;
        let _ = elf_interpreter(&file[..file.len().min(HEAD)], |buffer, offset| {
            let start = usize::try_from(offset).map_err(|_| not_found())?;
            let end = start.checked_add(buffer.len()).ok_or_else(not_found)?;
            buffer.copy_from_slice(file.get(start..end).ok_or_else(not_found)?);
            Ok(())
        });
        let _ = script_interpreter(&file);
    }
}
