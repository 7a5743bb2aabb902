//! A writer that never stops: registers in the configuration, each with a number that only rises, and what of it was acknowledged.
//!
//! A register is a delivery service; its value is `default_ttl_seconds`. One write is under way at a time. A write that was acknowledged must
//! be there later; one that was not may be.

use crate::{Api, wait_for};
use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinSet};

/// How many there are.
const REGISTERS: u64 = 4;
/// Pause after a write that was not acknowledged.
const RETRY: Duration = Duration::from_millis(50);
/// Between two writes.
const PACE: Duration = Duration::from_millis(20);
/// Patience for the registers to be made.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// One write that was acknowledged.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    /// When the answer came.
    pub at: Instant,
    /// Which of the managers gave it, by its place in the list.
    pub by: usize,
    /// What `Weir-Replicated` said; `None`: nothing.
    pub replicated: Option<bool>,
}

#[derive(Default)]
struct Written {
    /// By register: the last value that was acknowledged, and the last that was tried.
    values: BTreeMap<u64, (u64, u64)>,
    /// By register: the last value that was acknowledged by both managers.
    on_both: BTreeMap<u64, u64>,
    acknowledged: Vec<Acknowledged>,
    refused: BTreeMap<String, u64>,
}

impl Written {
    /// The value to be tried next.
    fn next(&mut self, register: u64) -> u64 {
        let (_, tried) = self.values.get_mut(&register).expect("every register has a value");
        *tried += 1;
        *tried
    }

    fn acknowledge(&mut self, register: u64, value: u64, by: usize, replicated: Option<bool>) {
        self.values.get_mut(&register).expect("every register has a value").0 = value;
        if replicated == Some(true) {
            self.on_both.insert(register, value);
        }
        self.acknowledged.push(Acknowledged { at: weir_clock::monotonic(), by, replicated });
    }
}

/// The writer at work.
pub struct Registers {
    written: Arc<Mutex<Written>>,
    stop: watch::Sender<bool>,
    task: JoinSet<()>,
}

fn name(register: u64) -> String {
    format!("register-{register}")
}

fn request(register: u64, value: u64) -> Value {
    json!({
        "name": name(register),
        "domain": format!("{}.weir.test", name(register)),
        "origin": "http://127.0.0.1:9",
        "caching": { "default_ttl_seconds": value },
    })
}

impl Registers {
    /// Makes the registers at the first of these managers, and writes to whichever of them takes it.
    pub async fn begin(managers: Vec<Api>) -> anyhow::Result<Self> {
        for register in 0..REGISTERS {
            wait_for("a register is made", ANSWER_DEADLINE, || async {
                let reply = managers[0].send(Method::POST, "/delivery-services", Some(&request(register, 0).to_string())).await?;
                // Another test of this network made it.
                ensure!((200..300).contains(&reply.status) || reply.status == 409, "{reply:?}");
                anyhow::Ok(())
            })
            .await;
        }
        let written = Arc::new(Mutex::new(Written::default()));
        for register in 0..REGISTERS {
            let value = read(&managers[0], register).await?;
            lock(&written).values.insert(register, (value, value));
        }
        let (stop, stopped) = watch::channel(false);
        let mut task = JoinSet::new();
        task.spawn(write(managers, Arc::clone(&written), stopped));
        Ok(Self { written, stop, task })
    }

    /// Writes acknowledged so far.
    pub fn acknowledged(&self) -> Vec<Acknowledged> {
        lock(&self.written).acknowledged.clone()
    }

    /// What was answered to those that were not, and how often.
    pub fn refused(&self) -> BTreeMap<String, u64> {
        lock(&self.written).refused.clone()
    }

    /// Waits until one more write is acknowledged that this holds for; the time since `since`.
    ///
    /// # Panics
    /// When none is within `deadline`.
    pub async fn next(&self, what: &str, since: Instant, deadline: Duration, holds: impl Fn(&Acknowledged) -> bool) -> Duration {
        wait_for(what, deadline, || async {
            let written = lock(&self.written);
            let found = written.acknowledged.iter().find(|one| one.at >= since && holds(one));
            found.map(|one| one.at - since).with_context(|| format!("not among {}: {:?}", written.acknowledged.len(), written.refused))
        })
        .await
    }

    /// Whether a manager has all that was acknowledged.
    ///
    /// # Errors
    /// What it does not have.
    pub async fn all_at(&self, manager: &Api) -> anyhow::Result<()> {
        for register in 0..REGISTERS {
            // Before it is read: what is acknowledged meanwhile is not asked for.
            let (least, _) = lock(&self.written).values[&register];
            let value = read(manager, register).await?;
            // After it was read: nothing else can have been written.
            let (_, most) = lock(&self.written).values[&register];
            ensure!(value >= least, "{}: {value}, although {least} was acknowledged", name(register));
            ensure!(value <= most, "{}: {value}, although nothing above {most} was written", name(register));
        }
        Ok(())
    }

    /// Whether a manager that took over without the other one has all that was acknowledged by both. From here on no more is asked
    /// for: what the other one acknowledged alone was given up.
    ///
    /// # Errors
    /// What it does not have.
    pub async fn survived_at(&self, manager: &Api) -> anyhow::Result<()> {
        for register in 0..REGISTERS {
            let least = lock(&self.written).on_both.get(&register).copied().unwrap_or(0);
            let value = read(manager, register).await?;
            ensure!(value >= least, "{}: {value}, although both acknowledged {least}", name(register));
            // Writes go on here meanwhile: what was acknowledged since is at least what was read.
            let mut written = lock(&self.written);
            let (acknowledged, tried) = written.values[&register];
            written.values.insert(register, (acknowledged.min(value), tried));
        }
        Ok(())
    }

    /// Ends, once the write under way is answered, and looks for all that was acknowledged.
    pub async fn end(mut self, manager: &Api) -> anyhow::Result<Vec<Acknowledged>> {
        self.stop.send_replace(true);
        while let Some(ended) = self.task.join_next().await {
            ended.context("the writer does not panic")?;
        }
        self.all_at(manager).await?;
        eprintln!("{} writes acknowledged, refused: {:?}", self.acknowledged().len(), self.refused());
        Ok(self.acknowledged())
    }
}

fn lock(written: &Mutex<Written>) -> std::sync::MutexGuard<'_, Written> {
    written.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A register's value, once the manager answers: what was killed a moment ago may not be back yet.
async fn read(manager: &Api, register: u64) -> anyhow::Result<u64> {
    let path = format!("/delivery-services/{}", name(register));
    let service = wait_for("a register is read", ANSWER_DEADLINE, || async { manager.get(&path).await }).await;
    service["caching"]["default_ttl_seconds"].as_u64().with_context(|| format!("a value: {service}"))
}

async fn write(managers: Vec<Api>, written: Arc<Mutex<Written>>, mut stopped: watch::Receiver<bool>) {
    let mut at = 0;
    for turn in 0_u64.. {
        if *stopped.borrow() {
            return;
        }
        let register = turn % REGISTERS;
        let value = lock(&written).next(register);
        let path = format!("/delivery-services/{}", name(register));
        let why = match managers[at].send(Method::PUT, &path, Some(&request(register, value).to_string())).await {
            Ok(reply) if (200..300).contains(&reply.status) => {
                lock(&written).acknowledge(register, value, at, reply.replicated);
                rest(&mut stopped, PACE).await;
                continue;
            }
            Ok(reply) => format!("{} {}", reply.status, reply.json["reason"]),
            Err(_) => "no answer".to_owned(),
        };
        *lock(&written).refused.entry(format!("manager {at}: {why}")).or_default() += 1;
        at = (at + 1) % managers.len();
        rest(&mut stopped, RETRY).await;
    }
}

async fn rest(stopped: &mut watch::Receiver<bool>, pause: Duration) {
    // Ends early when the writer is to end.
    let _ = tokio::time::timeout(pause, stopped.wait_for(|stop| *stop)).await;
}
