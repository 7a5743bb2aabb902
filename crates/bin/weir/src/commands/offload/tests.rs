//! When a wait ends, and with what.

use super::*;
use weir_model::{LeaseOwner, OffloadEpoch};
use weir_operator_api::offload::DrainWait;

fn drain() -> DrainProgress {
    DrainProgress {
        epoch: OffloadEpoch::Clients,
        since_ms: 1,
        drained: false,
        overdue: false,
        sessions: 3,
        active_requests: 1,
        fills_for_others: 0,
        strays: Vec::new(),
        waiting_for: vec![DrainWait { kind: "sessions".into(), text: "3 viewer sessions".into(), devices: Vec::new() }],
        soft_limit_ms: 1,
        hard_limit_ms: 1,
    }
}

fn offload(status: DeviceStatus, drain: Option<DrainProgress>) -> Offload {
    let lease = OffloadLease {
        owner: LeaseOwner::Operator,
        why: "disk".into(),
        by: "user:admin".into(),
        since_ms: 1,
        expires_ms: None,
        overrides: false,
    };
    let leases = drain.iter().map(|_| lease.clone()).collect();
    Offload { device: "east-1".parse().expect("name"), status, leases, share_permille: if drain.is_some() { 0 } else { 1000 }, drain }
}

fn word(look: &Look) -> String {
    match look {
        Look::Done => "done".to_owned(),
        Look::NotYet(text) => format!("not yet: {text}"),
        Look::Never(text) => format!("never: {text}"),
    }
}

#[test]
fn an_offload_is_waited_for_until_it_is_offloaded_overdue_or_over() {
    let late = DrainProgress { overdue: true, ..drain() };
    for (now, expected) in [
        (
            offload(DeviceStatus::Offloading, Some(drain())),
            "not yet: offloading, 3 sessions and 1 request left; waiting: 3 viewer sessions",
        ),
        (offload(DeviceStatus::Offline, Some(drain())), "not yet: offline, 3 sessions and 1 request left; waiting: 3 viewer sessions"),
        (offload(DeviceStatus::Offloaded, Some(late.clone())), "done"),
        (offload(DeviceStatus::Offloading, Some(late)), "never: DRAIN_TIMEOUT: 3 sessions and 1 request left; waiting: 3 viewer sessions"),
        (offload(DeviceStatus::Online, None), "never: was returned to service; `weir audit` says by whom and why"),
    ] {
        assert_eq!(word(&drained(&now)), expected);
    }
}

#[test]
fn a_return_is_waited_for_until_the_device_is_online() {
    for (now, expected) in [
        (offload(DeviceStatus::Online, None), "done"),
        (Offload { share_permille: 0, ..offload(DeviceStatus::Online, None) }, "not yet: does not know yet"),
        (offload(DeviceStatus::Offline, None), "not yet: is offline"),
        (offload(DeviceStatus::Offloaded, Some(drain())), "never: is still offloaded by operator: disk"),
    ] {
        assert_eq!(word(&returned(&now)), expected);
    }
}
