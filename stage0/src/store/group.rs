//! The group whose members may look at and fetch images.

/// The id of group `rkt` on this host, if there is one.
pub fn rkt_group() -> Option<u32> {
    find(&std::fs::read_to_string("/etc/group").ok()?, "rkt")
}

fn find(groups: &str, name: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn finds_by_whole_name() {
        let text = "root:x:0:\nrkt-admin:x:7:\nbroken\nrkt:x:99:a,b\n";
        assert_eq!(super::find(text, "rkt"), Some(99));
        assert_eq!(super::find(text, "broken"), None);
        assert_eq!(super::find(text, "none"), None);
    }
}
