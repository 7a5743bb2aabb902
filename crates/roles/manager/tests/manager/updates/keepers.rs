//! Keepers that are started anew after an update.

use super::{Lane, handed_over};
use serde_json::{Value, json};
use weir_rollout::update::Stage;

const NETWORK: [&str; 5] = ["core-1", "core-2", "east-1", "east-2", "router-1"];

fn holds(offload: &Value) -> bool {
    offload["leases"][0]["owner"] == "rollout"
}

async fn done_with_an_old_keeper(lane: &mut Lane, device: &str) {
    lane.assign(device, handed_over()).await;
    lane.fleet.member(device).runs_new();
    lane.fleet.member(device).says().keeper.as_mut().expect("a keeper").current = false;
    lane.at(device, Stage::Done).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engines_keeper_starts_anew_while_it_is_out() {
    let mut lane = Lane::start(&NETWORK).await;
    done_with_an_old_keeper(&mut lane, "east-2").await;
    let out = lane.fleet.until(&lane.running, "east-2", "it leaves for its keeper", holds).await;
    assert_eq!(out["leases"][0]["why"], "keeper update");
    assert!(!lane.fleet.member("east-2").word.as_ref().expect("word").restart_keeper, "not before it is drained");
    lane.until_told("east-2", "its keeper may start anew", |word| word["restart_keeper"] == true).await;
    let shown = lane.shown("east-2").await;
    assert_eq!((&shown["successful"], &shown["keeper"]["current"]), (&json!(true), &json!(false)));
    lane.fleet.member("east-2").says().keeper.as_mut().expect("a keeper").current = true;
    lane.fleet.until(&lane.running, "east-2", "it is back", |o| o["leases"] == json!([])).await;
    lane.until_told("east-2", "it need not again", |word| word["restart_keeper"] == false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_routers_keeper_waits_for_a_partner_and_one_goes_at_a_time() {
    let mut lane = Lane::start(&["core-1", "east-1", "router-1", "router-2"]).await;
    lane.fleet.member("router-2").silent = true;
    lane.fleet.until(&lane.running, "router-2", "it is off", |o| o["status"] == "offline").await;
    done_with_an_old_keeper(&mut lane, "router-1").await;
    lane.until("router-1", "no other router serves", |u| u["waiting"]["reason"] == "partner").await;
    assert!(!lane.fleet.member("router-1").word.as_ref().expect("word").restart_keeper);
    lane.fleet.member("router-2").silent = false;
    done_with_an_old_keeper(&mut lane, "router-2").await;
    lane.until_told("router-1", "the first goes", |word| word["restart_keeper"] == true).await;
    assert!(!lane.fleet.member("router-2").word.as_ref().expect("word").restart_keeper, "one at a time");
    lane.fleet.member("router-1").says().keeper.as_mut().expect("a keeper").current = true;
    lane.until_told("router-2", "then the other", |word| word["restart_keeper"] == true).await;
    assert_eq!(lane.leases("router-1").await, [""; 0], "a router is handed over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_that_was_told_first_is_not_joined_by_one_of_an_earlier_name() {
    let mut lane = Lane::start(&["core-1", "east-1", "router-1", "router-2"]).await;
    done_with_an_old_keeper(&mut lane, "router-2").await;
    lane.until_told("router-2", "it goes", |word| word["restart_keeper"] == true).await;
    done_with_an_old_keeper(&mut lane, "router-1").await;
    lane.until("router-1", "the other one is about it", |u| u["waiting"]["reason"] == "partner").await;
    lane.fleet.beat(&lane.running).await;
    let told = ["router-1", "router-2"].map(|name| lane.fleet.member(name).word.as_ref().expect("word").restart_keeper);
    assert_eq!(told, [false, true]);
    lane.fleet.member("router-2").says().keeper.as_mut().expect("a keeper").current = true;
    lane.until_told("router-1", "then this one", |word| word["restart_keeper"] == true).await;
}
