//! Over half of the engines fall silent at once.

use super::*;
use weir_model::{AlarmReason, DeviceConfiguration};
use weir_routing::panic::PANIC_ENGINES_MIN;

/// The sample's network with so many engines in east.
fn of(engines: usize) -> DeviceConfiguration {
    let mut configuration = sample::configuration();
    configuration.stamp.generation += 1;
    let first = configuration.engines[0].clone();
    let engine = |number| {
        let mut engine = first.clone();
        engine.name = format!("east-{number}").parse().expect("name");
        engine
    };
    configuration.engines = (1..=engines).map(engine).collect();
    configuration.services[0].engines = configuration.engines.iter().map(|engine| engine.name.clone()).collect();
    configuration
}

fn panics(router: &Router) -> bool {
    router.conditions().iter().any(|condition| condition.reason == AlarmReason::RouterPanic)
}

#[tokio::test]
async fn they_are_chosen_among_until_the_panic_is_over() {
    let bench = start();
    let (mut configuration, engines) = (of(PANIC_ENGINES_MIN), PANIC_ENGINES_MIN);
    configuration.profile.panic_hold_ms = 3_000;
    bench.router.apply(&configuration).expect("valid");
    for number in 1..=engines {
        bench.send(&signed(&format!("east-{number}"), 1, 1)).await;
    }
    bench.until("heard", |router| router.engines_live() == engines && !panics(router)).await;
    bench.until("a panic", panics).await;
    assert_eq!(bench.router.engines_live(), engines, "all of them are still chosen among");
    let steps: Vec<&str> = reasons(&bench.router).iter().map(Reason::reason).collect();
    assert!(steps.contains(&"vanished_at_once") && steps.contains(&"kept_in_panic") && steps.contains(&"content_hash"), "{steps:?}");
    bench.until("its end", |router| !panics(router) && router.engines_live() == 0).await;
    assert!(drops_for(&bench.router, "east-1", "silent"));
}

#[tokio::test]
async fn whoever_is_heard_again_ends_it() {
    let bench = start();
    let mut configuration = of(PANIC_ENGINES_MIN);
    configuration.profile.panic_hold_ms = 600_000;
    bench.router.apply(&configuration).expect("valid");
    for number in 1..=PANIC_ENGINES_MIN {
        bench.send(&signed(&format!("east-{number}"), 1, 1)).await;
    }
    bench.until("a panic", panics).await;
    let mut sequence = 1;
    while panics(&bench.router) {
        sequence += 1;
        for engine in ["east-1", "east-2"] {
            bench.send(&signed(engine, 1, sequence)).await;
        }
        assert!(sequence < 1_000, "half of them are back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bench.router.engines_live(), 2);
}

#[tokio::test]
async fn three_are_too_few_to_panic() {
    let bench = start();
    bench.router.apply(&of(PANIC_ENGINES_MIN - 1)).expect("valid");
    for number in 1..PANIC_ENGINES_MIN {
        bench.send(&signed(&format!("east-{number}"), 1, 1)).await;
    }
    bench.until("heard", |router| router.engines_live() == PANIC_ENGINES_MIN - 1).await;
    bench.until("gone", |router| router.engines_live() == 0).await;
    assert!(!panics(&bench.router));
}
