//! Breaks on purpose, in the one way the MANIFEST beside this program says: what probation and health gates are tested with.
//!
//! Without a fault in its MANIFEST the build behaves like any other.

use crate::{commands::Misconfigured, own_manifest};
use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::mpsc;
use weir_net::http1::{Body, Request, ResponseHead, Service};
use weir_sockets::Event;

/// Engines count themselves in this field of what they ask other engines; a viewer's request has none.
const HOPS: &str = "weir-hops";

/// The body of a broken answer.
const BROKEN: &[u8] = b"500 fault\n";

/// A way to be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The worker crashes before it says READY.
    CrashAtStart,
    /// An engine or router crashes when it is asked once more than so many times.
    CrashAfterRequests(u64),
    /// The worker lives and never says READY.
    NeverReady,
    /// Engines and routers answer viewers 500, and serve other engines.
    Errors500,
}

/// The word is no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not one of crash_at_start, crash_after_requests:K, never_ready, errors_500")]
pub(crate) struct FaultError;

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        match text.split_once(':') {
            Some(("crash_after_requests", count)) => count.parse().map(Self::CrashAfterRequests).map_err(|_| FaultError),
            Some(_) => Err(FaultError),
            None => match text {
                "crash_at_start" => Ok(Self::CrashAtStart),
                "never_ready" => Ok(Self::NeverReady),
                "errors_500" => Ok(Self::Errors500),
                _ => Err(FaultError),
            },
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CrashAtStart => f.write_str("crash_at_start"),
            Self::CrashAfterRequests(count) => write!(f, "crash_after_requests:{count}"),
            Self::NeverReady => f.write_str("never_ready"),
            Self::Errors500 => f.write_str("errors_500"),
        }
    }
}

/// The fault of the worker that starts, if it has one.
///
/// # Errors
/// The MANIFEST names one this build does not know, or cannot be read.
pub(crate) fn of_this_program() -> anyhow::Result<Option<Fault>> {
    let Some(word) = own_manifest::read()?.and_then(|manifest| manifest.fault) else { return Ok(None) };
    let fault: Fault = word.parse().map_err(|error| Misconfigured(format!("the fault {word:?} of this program's MANIFEST {error}")))?;
    tracing::warn!(%fault, "broken on purpose");
    if fault == Fault::CrashAtStart {
        std::process::abort();
    }
    Ok(Some(fault))
}

/// Lives, and says nothing, until the keeper has had enough.
pub(crate) async fn never_ready(events: &mut mpsc::Receiver<Event>) {
    while let Some(event) = events.recv().await {
        if matches!(event, Event::Exit | Event::Stop | Event::Drain { .. } | Event::Closed) {
            return;
        }
    }
}

/// A role with a fault in front of it.
#[derive(Clone)]
pub(crate) struct Faulty<S> {
    role: S,
    fault: Option<Fault>,
    /// Requests so far, on every thread.
    requests: Arc<AtomicU64>,
}

impl<S: Service> Faulty<S> {
    /// The role itself when there is no fault.
    pub(crate) fn new(role: S, fault: Option<Fault>) -> Self {
        Self { role, fault, requests: Arc::default() }
    }
}

impl<S: Service> Service for Faulty<S> {
    async fn respond(&self, request: &Request<'_>, head: &mut ResponseHead<'_>) -> Body {
        match self.fault {
            Some(Fault::CrashAfterRequests(count)) if self.requests.fetch_add(1, Ordering::Relaxed) >= count => std::process::abort(),
            Some(Fault::Errors500) if request.fields.get(HOPS).is_none() => {
                head.status(500);
                head.field("Content-Type", "text/plain; charset=utf-8");
                Body::bytes(BROKEN)
            }
            _ => self.role.respond(request, head).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use weir_net::http1::{Gate, Limits, serve};

    #[test]
    fn words() {
        for word in ["crash_at_start", "crash_after_requests:0", "crash_after_requests:250", "never_ready", "errors_500"] {
            assert_eq!(word.parse::<Fault>().map(|fault| fault.to_string()), Ok(word.to_owned()));
        }
        for word in ["", "errors_501", "crash_after_requests", "crash_after_requests:", "crash_after_requests:-1", "never_ready:1"] {
            assert_eq!(word.parse::<Fault>(), Err(FaultError), "{word:?}");
        }
    }

    #[derive(Clone)]
    struct Whole;

    impl Service for Whole {
        async fn respond(&self, _: &Request<'_>, head: &mut ResponseHead<'_>) -> Body {
            head.status(204);
            Body::Empty
        }
    }

    async fn status(fault: Option<Fault>, fields: &str) -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        let gate = Gate::new();
        gate.accept();
        let service = serve(listener, Faulty::new(Whole, fault), Limits::default(), gate);
        let asked = async {
            let mut stream = tokio::net::TcpStream::connect(address).await.expect("connect");
            stream.write_all(format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n").as_bytes()).await.expect("ask");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("answer");
            answer.split(' ').nth(1).expect("a status").to_owned()
        };
        tokio::select! {
            status = asked => status,
            ended = service => panic!("the server ended: {ended:?}"),
        }
    }

    #[tokio::test]
    async fn viewers_get_errors_and_engines_do_not() {
        assert_eq!(status(Some(Fault::Errors500), "").await, "500");
        assert_eq!(status(Some(Fault::Errors500), "Weir-Hops: 1\r\n").await, "204");
        for unbroken in [None, Some(Fault::NeverReady), Some(Fault::CrashAfterRequests(1))] {
            assert_eq!(status(unbroken, "").await, "204", "{unbroken:?}");
        }
    }
}
