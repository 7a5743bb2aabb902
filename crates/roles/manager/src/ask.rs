//! Questions for devices: kept until the device's next poll, answered once, or given up at a deadline.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, oneshot};
use weir_device_api::{Answer, Ask, Question};
use weir_model::DeviceName;

/// How long a caller waits for a device's answer.
pub(crate) const ANSWER_DEADLINE: Duration = Duration::from_secs(5);
/// Questions that may wait for one device.
pub(crate) const QUESTIONS_PER_DEVICE: usize = 16;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// [`QUESTIONS_PER_DEVICE`] wait already.
    Full,
    /// The deadline passed.
    Late,
}

/// The mailboxes of all devices.
#[derive(Debug)]
pub(crate) struct Asks {
    boxes: Mutex<BTreeMap<DeviceName, Mailbox>>,
    next_id: AtomicU64,
}

#[derive(Debug, Default)]
struct Mailbox {
    waiting: VecDeque<Question>,
    asked: BTreeMap<u64, oneshot::Sender<Answer>>,
    arrived: Arc<Notify>,
}

impl Asks {
    /// Ids begin at `first_id`: above those of an earlier life of the manager, whose answers may still come.
    pub(crate) fn new(first_id: u64) -> Self {
        Self { boxes: Mutex::default(), next_id: AtomicU64::new(first_id) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<DeviceName, Mailbox>> {
        self.boxes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks a device and waits for its answer until `deadline` has passed.
    pub(crate) async fn ask(&self, device: &DeviceName, ask: Ask, deadline: Duration) -> Result<Answer, Unanswered> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        {
            let mut boxes = self.lock();
            let mailbox = boxes.entry(device.clone()).or_default();
            if mailbox.asked.len() >= QUESTIONS_PER_DEVICE {
                return Err(Unanswered::Full);
            }
            mailbox.waiting.push_back(Question { id, ask });
            mailbox.asked.insert(id, answer);
            mailbox.arrived.notify_waiters();
        }
        let _withdraw = Withdraw { asks: self, device, id };
        match tokio::time::timeout(deadline, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(Unanswered::Late),
        }
    }

    /// Questions that wait for this device; each is handed out once.
    pub(crate) fn take(&self, device: &DeviceName) -> Vec<Question> {
        self.lock().get_mut(device).map(|m| m.waiting.drain(..).collect()).unwrap_or_default()
    }

    /// Told whenever a question for this device arrives, or something else that its poll waits for.
    pub(crate) fn arrivals(&self, device: &DeviceName) -> Arc<Notify> {
        Arc::clone(&self.lock().entry(device.clone()).or_default().arrived)
    }

    /// Has a device's poll look again.
    pub(crate) fn wake(&self, device: &DeviceName) {
        self.arrivals(device).notify_waiters();
    }

    /// Delivers an answer; says whether anybody still waits for it.
    pub(crate) fn answer(&self, device: &DeviceName, id: u64, answer: Answer) -> bool {
        let sender = self.lock().get_mut(device).and_then(|m| m.asked.remove(&id));
        sender.is_some_and(|s| s.send(answer).is_ok())
    }

    pub(crate) fn forget(&self, device: &DeviceName) {
        self.lock().remove(device);
    }
}

/// Takes a question back when its caller stops waiting, however it stops.
struct Withdraw<'a> {
    asks: &'a Asks,
    device: &'a DeviceName,
    id: u64,
}

impl Drop for Withdraw<'_> {
    fn drop(&mut self) {
        if let Some(mailbox) = self.asks.lock().get_mut(self.device) {
            mailbox.waiting.retain(|q| q.id != self.id);
            mailbox.asked.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> DeviceName {
        "east-1".parse().expect("name")
    }

    #[tokio::test]
    async fn a_question_is_handed_out_once_and_answered_by_its_device_only() {
        let asks = Asks::new(7);
        let name = device();
        let (outcome, ()) = tokio::join!(asks.ask(&name, Ask::Logs { lines: 1 }, Duration::from_secs(5)), async {
            let questions = asks.take(&device());
            assert_eq!(questions, [Question { id: 7, ask: Ask::Logs { lines: 1 } }]);
            assert_eq!(asks.take(&device()), []);
            let other = "east-2".parse().expect("name");
            assert!(!asks.answer(&other, 7, Answer::Refused { reason: "not me".into() }));
            assert!(asks.answer(&device(), 7, Answer::Logs { lines: vec!["a".into()] }));
        });
        assert_eq!(outcome, Ok(Answer::Logs { lines: vec!["a".into()] }));
        assert!(!asks.answer(&device(), 7, Answer::Logs { lines: vec![] }), "once");
    }

    #[tokio::test]
    async fn a_late_question_is_withdrawn_and_the_box_is_bounded() {
        let asks = Asks::new(1);
        assert_eq!(asks.ask(&device(), Ask::Logs { lines: 1 }, Duration::from_millis(1)).await, Err(Unanswered::Late));
        assert_eq!(asks.take(&device()), []);
        let name = device();
        let mut waiting: Vec<_> =
            (0..QUESTIONS_PER_DEVICE).map(|_| Box::pin(asks.ask(&name, Ask::Logs { lines: 1 }, Duration::from_secs(5)))).collect();
        for question in &mut waiting {
            let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(question.as_mut().poll(cx).is_pending())).await;
            assert!(polled);
        }
        assert_eq!(asks.ask(&device(), Ask::Logs { lines: 1 }, Duration::from_secs(5)).await, Err(Unanswered::Full));
    }
}
