//! Hearing of a primary with a higher term: the other managers are asked before the first write of a start, every few seconds, and at
//! once when somebody names a higher term. Only a manager's own word fences.

use super::{
    Cms, Fence,
    doubt::{Doubt, Word},
    look::Known,
};
use crate::{app::App, snapshot::DeviceRecord};
use serde::Deserialize;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{task::JoinSet, time::MissedTickBehavior};
use weir_device_api::{PairHello, SwitchOrder, paths};
use weir_model::{DeviceName, Role};
use weir_net::{identity::Subject, tls::client_config};
use weir_operator_api::{Problem, Reason};

/// Patience with the other managers, all together.
const ASK_PATIENCE: Duration = Duration::from_secs(1);
/// How often a primary asks the others where they stand.
const PERIOD: Duration = Duration::from_secs(10);
/// The same while it doubts that it is the primary.
const PERIOD_IN_DOUBT: Duration = Duration::from_secs(2);
/// A device names no term further above ours than this: changes of primary are rare, and none is skipped.
pub(crate) const AHEAD_MAX: u64 = 1_000;

/// Asks other managers, showing the certificate of this one.
pub(crate) struct Asker {
    client: reqwest::Client,
}

impl Asker {
    pub(super) fn new(ca_pem: &str, certificate_pem: &str, key_pem: &str) -> Option<Self> {
        let mut tls = client_config(ca_pem, Some((certificate_pem, key_pem))).ok()?;
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls).http2_prior_knowledge().no_proxy();
        let client = client.redirect(reqwest::redirect::Policy::none()).timeout(ASK_PATIENCE).build().ok()?;
        Some(Self { client })
    }

    /// With a certificate of the authority this box holds.
    pub(crate) fn of(app: &App) -> Option<Self> {
        let subject = Subject { device: app.name.to_string(), role: Role::Manager.to_string() };
        let pair = app.authority.issue(&subject, &[], weir_clock::wall()).ok()?;
        Self::new(app.authority.certificate_pem(), &pair.certificate_pem, &pair.key_pem)
    }

    /// Where a manager stands, which is told our term when we are the primary; `None` when it does not say within [`ASK_PATIENCE`].
    async fn hello(&self, address: SocketAddr, own: Option<u64>) -> Option<PairHello> {
        let term = own.map(|term| format!("?primary_term={term}")).unwrap_or_default();
        let response = self.client.get(format!("https://{address}{}{term}", paths::PAIR_HELLO)).send().await.ok()?;
        if response.status().is_success() { response.json().await.ok() } else { None }
    }

    /// Asks all of these at once for their HELLO; what each said, in their order, and `None` of one that is silent.
    pub(super) async fn asked(&self, others: Vec<(DeviceName, SocketAddr)>, own: Option<u64>) -> Vec<(DeviceName, Option<PairHello>)> {
        let (mut asked, mut said) = (JoinSet::new(), Vec::with_capacity(others.len()));
        for (at, (name, address)) in others.into_iter().enumerate() {
            let asker = Self { client: self.client.clone() };
            said.push((name.clone(), None));
            asked.spawn(async move {
                // Whoever answers under another name is not who was asked.
                let hello = asker.hello(address, own).await.filter(|hello| hello.name == name);
                if hello.is_none() {
                    tracing::debug!(%name, %address, "the other manager does not answer");
                }
                (at, hello.map(|hello| PairHello { device: hello.device.or(Some(address)), ..hello }))
            });
        }
        while let Some(answered) = asked.join_next().await {
            if let Ok((at, hello)) = answered {
                said[at].1 = hello;
            }
        }
        said
    }

    /// Orders another manager to become another version; its HELLO.
    ///
    /// # Errors
    /// Its refusal; it does not answer.
    pub(crate) async fn switch(&self, address: SocketAddr, order: &SwitchOrder) -> Result<PairHello, Problem> {
        let silent =
            |error: reqwest::Error| Problem::new(Reason::Unavailable, format!("the standby at {address} does not answer: {error}"));
        let response = self.client.post(format!("https://{address}{}", paths::PAIR_SWITCH)).json(order).send().await.map_err(silent)?;
        if response.status().is_success() {
            return response.json().await.map_err(silent);
        }
        let status = response.status();
        let unread = |_| Problem::new(Reason::Unavailable, format!("the standby at {address} answers {status}"));
        Err(response.json().await.unwrap_or_else(unread))
    }

    /// The other active managers of a network, each with its HELLO; none of one that is silent.
    pub(crate) async fn others(&self, app: &App) -> Vec<(DeviceName, SocketAddr, Option<PairHello>)> {
        let asked = others(app);
        let said = self.asked(asked.clone(), Some(app.network().stamp.term)).await;
        asked.into_iter().zip(said).map(|((name, address), (_, hello))| (name, address, hello)).collect()
    }

    /// Asks each of these for its HELLO, and judges what they say.
    async fn judged(&self, others: Vec<(DeviceName, SocketAddr)>, own: u64) -> Judged {
        let hellos: Vec<_> = self.asked(others, Some(own)).await.into_iter().filter_map(|(_, hello)| hello).collect();
        judge(&hellos, own)
    }
}

/// What the other managers' answers come to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Judged {
    /// One of them holds a configuration of a higher term.
    Overtaken(Fence),
    /// One of them is the primary in our term as well.
    SameTerm(Word),
    /// One answered, and none of these.
    Primary,
    /// Nobody answered.
    Silent,
}

fn judge(hellos: &[PairHello], own: u64) -> Judged {
    // Whoever is not the primary holds that configuration and is not named for it.
    let above = hellos.iter().filter(|hello| hello.term > own).max_by_key(|hello| (hello.term, hello.primary));
    if let Some(PairHello { name, term, primary, device, .. }) = above {
        return Judged::Overtaken(Fence { term: *term, name: primary.then(|| name.clone()), address: *device });
    }
    match hellos.iter().find(|hello| hello.primary && hello.term == own) {
        Some(hello) => Judged::SameTerm(Word { by: hello.name.clone(), term: own }),
        None if hellos.is_empty() => Judged::Silent,
        None => Judged::Primary,
    }
}

/// What is known before a primary's first write.
pub(super) struct Before {
    pub(super) fence: Option<Fence>,
    pub(super) doubt: Option<Doubt>,
}

fn before(judged: Judged) -> Before {
    let (fence, doubt) = match judged {
        Judged::Overtaken(fence) => {
            tracing::warn!(term = fence.term, "another manager has a higher term");
            (Some(fence), None)
        }
        Judged::SameTerm(word) => (None, Some(Doubt::SameTerm(word))),
        Judged::Primary | Judged::Silent => (None, None),
    };
    Before { fence, doubt }
}

/// Asks the other managers before anything is opened, with the certificate this box keeps; `None` when it has none that can be used.
pub(super) async fn ask_before(cms: &Cms, known: &Known) -> Option<Before> {
    let kept = cms.identity()?;
    let asker = Asker::new(&kept.ca_pem, &kept.certificate_pem, &kept.key_pem)?;
    Some(before(asker.judged(others_of(cms, known), known.term).await))
}

/// What the other managers say of themselves, asked with the certificate this box keeps; those that are silent are not among them.
pub(super) async fn say(cms: &Cms) -> Vec<PairHello> {
    let known = cms.now().known.clone();
    let (Some(known), Some(kept)) = (known, cms.identity()) else { return Vec::new() };
    let Some(asker) = Asker::new(&kept.ca_pem, &kept.certificate_pem, &kept.key_pem) else { return Vec::new() };
    asker.asked(others_of(cms, &known), None).await.into_iter().filter_map(|(_, hello)| hello).collect()
}

fn others_of(cms: &Cms, known: &Known) -> Vec<(DeviceName, SocketAddr)> {
    known.others(cms.name()).filter_map(|manager| Some((manager.name.clone(), manager.device?))).collect()
}

/// The same once it is open, with a certificate of its own.
pub(super) async fn ask_others(app: &Arc<App>) -> Before {
    match Asker::of(app) {
        Some(asker) => before(asker.judged(others(app), app.network().stamp.term).await),
        None => Before { fence: None, doubt: None },
    }
}

fn others(app: &App) -> Vec<(DeviceName, SocketAddr)> {
    let network = app.network();
    let others = network.active(Role::Manager).filter(|record| record.name != app.name);
    others.filter_map(|record| Some((record.name.clone(), record.addresses.device?))).collect()
}

/// Beside a primary: asks the others again and again, and whenever somebody names a higher term, until this box is fenced or the life
/// ends.
pub(crate) async fn watch(app: Arc<App>) {
    let Some(asker) = Asker::of(&app) else {
        return tracing::error!("no certificate to ask the other managers with; they are not asked again");
    };
    let doubts = &app.cms.doubts;
    let (mut words, mut stopping) = (doubts.words(), app.stopping());
    let mut ticks = tokio::time::interval(PERIOD_IN_DOUBT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asked_ms = weir_clock::monotonic_ms();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            // The sender lives as long as the box.
            _ = words.changed() => {}
            _ = stopping.wait_for(|stops| *stops) => return,
        }
        let now_ms = weir_clock::monotonic_ms();
        // A device that goes on naming a term is no reason to ask more often than in doubt.
        let period = if doubts.stands() || doubts.unanswered().is_some() { PERIOD_IN_DOUBT } else { PERIOD };
        if now_ms.saturating_sub(asked_ms) < weir_clock::millis(period) {
            continue;
        }
        asked_ms = now_ms;
        if round(&app, &asker).await {
            return;
        }
    }
}

/// Asks once; whether this box is fenced now.
async fn round(app: &Arc<App>, asker: &Asker) -> bool {
    let (others, doubts) = (others(app), &app.cms.doubts);
    if others.is_empty() {
        // Nobody on record could be the primary instead: an operator may overrule the word, and writes go on.
        return false;
    }
    let own = app.network().stamp.term;
    let judged = asker.judged(others, own).await;
    if app.network().stamp.term != own {
        // An operator has decided meanwhile: what was said is about the term before, and is asked again.
        return false;
    }
    match judged {
        Judged::Overtaken(fence) => match crate::pair::step_down(app, fence).await {
            Ok(()) => return true,
            Err(problem) => tracing::error!(%problem, "another manager has a higher term, and the fence is not written yet"),
        },
        Judged::SameTerm(word) => doubts.answered(Some(Doubt::SameTerm(word))),
        Judged::Primary => doubts.answered(None),
        Judged::Silent => {
            if let Some(word) = doubts.unanswered() {
                doubts.answered(Some(Doubt::Named(word)));
            }
        }
    }
    false
}

/// Where a manager stands; `None` when it does not say within [`ASK_PATIENCE`].
pub(super) async fn hello_of(address: SocketAddr, ca_pem: &str, certificate_pem: &str, key_pem: &str) -> Option<PairHello> {
    Asker::new(ca_pem, certificate_pem, key_pem)?.hello(address, None).await
}

/// A device names the term it obeys. One above ours is a reason to ask the other managers; the device's word alone fences nobody.
///
/// # Errors
/// A term that no change of primary leads to.
pub(crate) fn heard_of(app: &Arc<App>, device: &DeviceRecord, term: u64) -> Result<(), Problem> {
    let own = app.network().stamp.term;
    let doubts = &app.cms.doubts;
    if term <= own {
        doubts.takes_back(&device.name);
        return Ok(());
    }
    if term.saturating_sub(own) > AHEAD_MAX {
        tracing::warn!(device = %device.name, term, own, "a device names a term far above ours; refused");
        let detail = format!("term {term} is more than {AHEAD_MAX} above {own}, this manager's");
        return Err(Problem::new(Reason::InvalidField, detail).at("term"));
    }
    if device.active {
        doubts.named(&device.name, term);
    }
    Ok(())
}

/// What another manager says when it asks for our HELLO.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Said {
    /// The term it is primary of.
    #[serde(default)]
    primary_term: Option<u64>,
}

/// Another manager says that it is the primary: it is asked back, when its term is not below ours.
pub(crate) fn told_by(app: &Arc<App>, manager: &DeviceRecord, said: &Said) {
    let own = app.network().stamp.term;
    if let Some(term) = said.primary_term.filter(|term| *term >= own && manager.active) {
        app.cms.doubts.named(&manager.name, term);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(name: &str, primary: bool, term: u64) -> PairHello {
        PairHello {
            name: name.parse().expect("name"),
            version: "1.0.0-b1".to_owned(),
            primary,
            term,
            heard: 99,
            step: 7,
            rev: 0,
            hash: String::new(),
            digest: String::new(),
            journal: 0,
            journal_hash: String::new(),
            device: None,
            api: None,
            cms: String::new(),
            switch: None,
        }
    }

    #[test]
    fn a_managers_configuration_fences_and_what_it_only_heard_does_not() {
        let (standby, primary) = (|term| hello("manager-2", false, term), |term| hello("manager-3", true, term));
        let fence =
            |term, name: Option<&str>| Judged::Overtaken(Fence { term, name: name.map(|name| name.parse().expect("name")), address: None });
        let same = Judged::SameTerm(Word { by: "manager-3".parse().expect("name"), term: 3 });
        for (hellos, expected) in [
            (vec![], Judged::Silent),
            (vec![standby(3)], Judged::Primary),
            (vec![standby(0)], Judged::Primary),
            (vec![primary(2)], Judged::Primary),
            (vec![standby(3), primary(4)], fence(4, Some("manager-3"))),
            // It was the primary once, and is disabled: its configuration is the newer one, and it is nobody's primary.
            (vec![standby(4)], fence(4, None)),
            (vec![standby(4), primary(4)], fence(4, Some("manager-3"))),
            (vec![standby(3), primary(3)], same),
        ] {
            assert_eq!(judge(&hellos, 3), expected, "{hellos:?}");
        }
    }
}
