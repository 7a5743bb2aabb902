//! Passwords: the rules for them, one-time ones, and argon2id behind a gate, so that guessing exhausts nothing.

use crate::domain::{attempts::Standing, tokens::random};
use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use std::sync::Arc;
use tokio::sync::Semaphore;
use weir_operator_api::{Problem, Reason};
use zeroize::Zeroizing;

/// Characters a password has at least.
pub(crate) const PASSWORD_CHARS_MIN: usize = 12;
/// Characters a password has at most.
pub(crate) const PASSWORD_CHARS_MAX: usize = 128;
/// Hashes computed at the same time; each takes 19 MiB and a core for some milliseconds.
const HASHES_AT_ONCE: usize = 2;
/// Hashes that may wait or be computed; more sign-ins are refused.
const HASHES_WAITING_MAX: usize = 32;
/// Of these, those of places nobody has signed in from; the rest is for users where they were before.
const STRANGERS_WAITING_MAX: usize = 24;
/// What one-time passwords are made of: no characters that look alike, nothing that needs a shift key.
const ALPHABET: &[u8; 32] = b"23456789abcdefghijkmnpqrstuvwxyz";
/// Groups of a one-time password, and characters in each: 100 bits.
const GROUPS: usize = 4;
const GROUP_CHARS: usize = 5;

/// Computes and checks password hashes (argon2id, RFC 9106, with the parameters OWASP recommends: 19 MiB, 2 passes).
pub(crate) struct Passwords {
    at_once: Arc<Semaphore>,
    waiting: Semaphore,
    strangers: Semaphore,
    /// Held during a reset: there is one file for the next one-time password.
    pub(crate) resetting: tokio::sync::Mutex<()>,
    /// What a password of nobody is checked against, so that it takes as long.
    nobody: String,
}

impl Passwords {
    pub(crate) async fn new() -> Result<Self, Problem> {
        let (at_once, waiting) = (Arc::new(Semaphore::new(HASHES_AT_ONCE)), Semaphore::new(HASHES_WAITING_MAX));
        let strangers = Semaphore::new(STRANGERS_WAITING_MAX);
        let mut passwords = Self { at_once, waiting, strangers, resetting: tokio::sync::Mutex::default(), nobody: String::new() };
        passwords.nobody = passwords.hash(one_time()?).await?;
        Ok(passwords)
    }

    /// The PHC string of a password.
    pub(crate) async fn hash(&self, password: Zeroizing<String>) -> Result<String, Problem> {
        let hash = move || Argon2::default().hash_password(password.as_bytes()).map(|h: PasswordHash| h.to_string());
        self.compute(hash).await?.map_err(|_| Problem::new(Reason::Internal, "the password could not be hashed"))
    }

    /// Whether it is the password behind `hash`; without one it takes as long and is not.
    pub(crate) async fn proves(&self, password: Zeroizing<String>, hash: Option<&str>) -> Result<bool, Problem> {
        let known = hash.is_some();
        let hash = hash.unwrap_or(&self.nobody).to_owned();
        let check = move || {
            let hash = PasswordHash::new(&hash).ok()?;
            Argon2::default().verify_password(password.as_bytes(), &hash).ok()
        };
        Ok(self.compute(check).await?.is_some() && known)
    }

    /// Like [`Passwords::proves`], for somebody who signs in.
    pub(crate) async fn proves_from(&self, standing: Standing, password: Zeroizing<String>, hash: Option<&str>) -> Result<bool, Problem> {
        let _waiting = match standing {
            Standing::Known => None,
            Standing::Stranger => Some(self.strangers.try_acquire().map_err(|_| busy())?),
        };
        self.proves(password, hash).await
    }

    async fn compute<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let _waiting = self.waiting.try_acquire().map_err(|_| busy())?;
        let stopping = || Problem::new(Reason::Unavailable, "the manager is stopping");
        let slot = Arc::clone(&self.at_once).acquire_owned().await.map_err(|_| stopping())?;
        let computed = tokio::task::spawn_blocking(move || {
            // Held by the work, not by whoever waits for it: a client that leaves frees nothing early.
            let _slot = slot;
            f()
        });
        computed.await.map_err(|_| stopping())
    }
}

fn busy() -> Problem {
    Problem::new(Reason::Unavailable, "too many passwords are being checked")
}

/// A fresh one-time password, such as `k3mvt-9xwqr-h7pnd-4fjsc`.
pub(crate) fn one_time() -> Result<Zeroizing<String>, Problem> {
    let bytes = Zeroizing::new(random::<{ GROUPS * GROUP_CHARS }>()?);
    let mut text = Zeroizing::new(String::with_capacity(GROUPS * (GROUP_CHARS + 1)));
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 && at % GROUP_CHARS == 0 {
            text.push('-');
        }
        // 256 is a multiple of 32: every character is as likely as any other.
        text.push(char::from(ALPHABET[usize::from(byte % 32)]));
    }
    Ok(text)
}

/// Refuses a password the rules do not allow for this user.
pub(crate) fn check(user: &str, password: &str) -> Result<(), Problem> {
    let refused = |detail: String| Err(Problem::new(Reason::BadPassword, detail).at("new"));
    let chars = password.chars().count();
    if !(PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&chars) {
        return refused(format!("a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters, this one has {chars}"));
    }
    if password.chars().any(char::is_control) {
        return refused("a password has no control characters".to_owned());
    }
    let plain = password.to_lowercase();
    if plain.replace(&user.to_lowercase(), "").chars().count() < PASSWORD_CHARS_MIN / 2 {
        return refused("a password is not the user's name".to_owned());
    }
    let first = plain.chars().next();
    if plain.chars().all(|c| Some(c) == first) {
        return refused("a password is more than one character repeated".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        for (password, allowed) in [
            ("correct horse battery", true),
            ("twelve chars", true),
            ("eleven char", false),
            ("ünïcödé-wörd", true),
            (&"x1".repeat(64), true),
            (&"x1".repeat(65), false),
            ("aaaaaaaaaaaaaaaa", false),
            ("adminadminadmin", false),
            ("AdminAdmin12", false),
            ("admin of the weir", true),
            ("with a \u{7} bell in it", false),
        ] {
            assert_eq!(check("admin", password).is_ok(), allowed, "{password}");
        }
    }

    #[test]
    fn one_time_passwords_obey_the_rules_and_differ() {
        let made: Vec<_> = (0..50).map(|_| one_time().expect("random")).collect();
        for password in &made {
            assert!(check("admin", password).is_ok());
            assert_eq!(password.len(), 23);
            assert!(password.bytes().all(|b| b == b'-' || ALPHABET.contains(&b)), "{}", **password);
        }
        assert_eq!(made.iter().map(|p| p.to_string()).collect::<std::collections::BTreeSet<_>>().len(), 50);
    }

    #[tokio::test]
    async fn only_the_password_proves() {
        let passwords = Passwords::new().await.expect("made");
        let text = |t: &str| Zeroizing::new(t.to_owned());
        let hash = passwords.hash(text("correct horse")).await.expect("hashed");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.proves(text("correct horse"), Some(&hash)).await.expect("checked"));
        assert!(!passwords.proves(text("correct horsf"), Some(&hash)).await.expect("checked"));
        assert!(!passwords.proves(text("correct horse"), None).await.expect("checked"));
        assert!(!passwords.proves(text("correct horse"), Some("nonsense")).await.expect("checked"));
    }

    #[tokio::test]
    async fn more_than_the_limit_are_refused_at_once() {
        let passwords = Passwords::new().await.expect("made");
        let held = passwords.at_once.acquire_many(2).await.expect("free");
        let mut waiting: Vec<_> = (0..HASHES_WAITING_MAX).map(|_| Box::pin(passwords.hash(Zeroizing::new("x".into())))).collect();
        for one in &mut waiting {
            let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(one.as_mut().poll(cx).is_ready())).await;
            assert!(!polled, "it waits");
        }
        let refused = passwords.hash(Zeroizing::new("x".into())).await.expect_err("refused");
        assert_eq!(refused.reason, Reason::Unavailable);
        drop((waiting, held));
        passwords.hash(Zeroizing::new("x".into())).await.expect("free again");
    }

    #[tokio::test]
    async fn strangers_leave_room_for_those_who_were_there_before() {
        let passwords = Passwords::new().await.expect("made");
        let held = passwords.at_once.acquire_many(2).await.expect("free");
        let proves = |standing| Box::pin(passwords.proves_from(standing, Zeroizing::new("x".into()), None));
        fn poll<F: Future>(one: &mut std::pin::Pin<Box<F>>) -> std::task::Poll<F::Output> {
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            one.as_mut().poll(&mut cx)
        }
        let mut waiting: Vec<_> = (0..STRANGERS_WAITING_MAX).map(|_| proves(Standing::Stranger)).collect();
        assert!(waiting.iter_mut().all(|one| poll(one).is_pending()));
        let refused = proves(Standing::Stranger).await.expect_err("one stranger more");
        assert_eq!(refused.reason, Reason::Unavailable);
        assert!(poll(&mut proves(Standing::Known)).is_pending(), "it waits for its turn");
        drop((waiting, held));
    }
}
