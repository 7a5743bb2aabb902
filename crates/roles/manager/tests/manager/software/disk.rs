//! A full disk: refused with its word, and nothing else is harmed.

use super::{FILES, Publisher, SourceServer, assert_failed, pinned, standing};
use serde_json::json;
use std::{path::PathBuf, process::Command};

/// A small file system, of its own, at a path; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this user may not mount one.
    fn mount(at: PathBuf) -> Option<Self> {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs"]).arg(&at).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(at))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{} stays mounted", self.0.display());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said_where_bytes_are_kept() {
    let publisher = Publisher::new();
    let archive = publisher.build("1.1.0-b1");
    let source = SourceServer::of_file(&archive).await;
    let running = pinned(&publisher).await;
    let held = running.dir.path().join("state/manager/software");
    let Some(disk) = SmallDisk::mount(held.clone()) else {
        // Said, not hidden: the limits themselves are tested beside the code that keeps them.
        assert!(!rustix::process::geteuid().is_root() || !may_mount(), "root could not mount a tmpfs");
        return;
    };
    let filler = vec![0_u8; 2 << 20];
    let full = std::fs::write(held.join("filler"), filler).expect_err("it is small");
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    let id = running.register(json!({"file_name": "a.weir"})).await;
    let path = format!("{FILES}/{id}/archive");
    let refused = running.put_bytes(&path, "application/octet-stream", archive.clone()).await;
    assert_eq!(refused.status, 507, "{}", refused.json);
    assert_eq!(refused.refusal().0, "disk_full");
    assert_eq!(standing(&running.file(id).await), ("draft", Some("awaiting_upload")));
    let body = json!({"url": source.url(), "version": "1.1.0-b1"});
    let fetched = running.register(body).await;
    assert_failed(&running.checked(fetched).await, "download", "no_space");
    assert_eq!(running.left_over(), ["filler"], "no part of it stays");
    drop(disk);
    running.put_bytes(&path, "application/octet-stream", archive).await.expect(200);
    assert_eq!(standing(&running.checked(id).await), ("ready", None));
    assert_eq!(standing(&running.validate(fetched).await), ("ready", None));
}

/// Whether root has the right here: a container may have taken it away.
fn may_mount() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap_or("0");
    // CAP_SYS_ADMIN of capabilities(7).
    u64::from_str_radix(effective.trim(), 16).is_ok_and(|set| set & (1 << 21) != 0)
}
