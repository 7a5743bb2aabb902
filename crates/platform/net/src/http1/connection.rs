//! The loop of one connection: receive, judge, answer, again.

use super::{
    Gate, Head, HeadScan, Limits, Phase, Refusal, ResponseHead, Service,
    framing::{Asked, Tail, finish_head},
    gate::{Admission, GateState},
    inbox::{Inbox, poll_read_into},
    lane::{Held, Lane},
    response::Written,
    send::{SendError, Sender},
    timer::Timer,
    upload::Upload,
};
use bytes::Bytes;
use std::{
    future::{Future, poll_fn},
    mem::MaybeUninit,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::futures::Notified,
};

/// How long a closing connection goes on reading so that the client gets to read the answer (RFC 9112 9.6).
const LINGER_TIME: Duration = Duration::from_secs(2);
/// Bytes discarded meanwhile.
const LINGER_BYTES: usize = 1024 * 1024;

/// Statuses from here on say that the server, or one behind it, failed (RFC 9110 section 15.6).
const SERVER_ERRORS: u16 = 500;

/// What a connection runs over.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Makes the coming close a reset, so that a broken body cannot be taken for a whole one.
    fn reset_on_close(&self);

    /// Whether bytes have arrived that were not read: asked of the system, which may know more than the runtime.
    fn has_unread(&self) -> bool;
}

impl Transport for TcpStream {
    fn reset_on_close(&self) {
        // A failure leaves an ordinary close, which still lacks the promised bytes or the last chunk.
        let _ = socket2::SockRef::from(self).set_linger(Some(Duration::ZERO));
    }

    fn has_unread(&self) -> bool {
        matches!(socket2::SockRef::from(self).peek(&mut [MaybeUninit::uninit()]), Ok(count) if count > 0)
    }
}

/// What every connection of a listener shares.
pub(crate) struct Listener<S> {
    pub(crate) service: S,
    pub(crate) limits: Limits,
    pub(crate) gate: Gate,
    pub(crate) lane: Arc<Lane>,
}

/// How a connection ends.
enum End {
    /// At once: nothing is on its way to the client.
    Quiet,
    /// After an answer the client should get to read.
    Linger,
    /// With a reset.
    Reset,
}

/// What came instead of the next piece of a request.
enum Stop {
    Gone,
    Refused(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

pub(crate) struct Connection<S, T> {
    listener: Arc<Listener<S>>,
    service: S,
    stream: T,
    peer: SocketAddr,
    local: SocketAddr,
    inbox: Inbox,
    scan: HeadScan,
    head: Head,
    out: Vec<u8>,
    timer: Timer,
    _admission: Admission,
}

impl<S: Service, T: Transport> Connection<S, T> {
    pub(crate) fn new(listener: Arc<Listener<S>>, stream: T, peer: SocketAddr, local: SocketAddr, admission: Admission) -> Self {
        Self {
            service: listener.service.clone(),
            stream,
            peer,
            local,
            inbox: Inbox::new(&listener.limits),
            scan: HeadScan::default(),
            head: Head::default(),
            out: Vec::new(),
            timer: Timer::new(listener.limits.header_time),
            listener,
            _admission: admission,
        }
    }

    pub(crate) async fn run(mut self) {
        match self.exchanges().await {
            End::Quiet => {}
            End::Linger => self.linger().await,
            End::Reset => {
                self.listener.lane.resets.fetch_add(1, Relaxed);
                self.stream.reset_on_close();
            }
        }
    }

    async fn exchanges(&mut self) -> End {
        let listener = self.listener.clone();
        let mut watch = Watch::new(&listener.gate);
        for left in (0..listener.limits.requests_per_connection.max(1)).rev() {
            let first = left + 1 == listener.limits.requests_per_connection.max(1);
            match self.receive_head(&mut watch, first).await {
                Ok(()) => {}
                Err(Stop::Gone) => return End::Quiet,
                Err(Stop::Refused(refusal)) => return self.refuse(refusal).await,
            }
            let _active = Held::new(&listener.lane.active);
            let body = match self.receive_body().await {
                Ok(body) => body,
                Err(Stop::Gone) => return End::Quiet,
                Err(Stop::Refused(refusal)) => return self.refuse(refusal).await,
            };
            match self.answer(&listener, body, left > 0).await {
                Ok(true) => {}
                Ok(false) => return End::Linger,
                Err(end) => return end,
            }
        }
        End::Linger
    }

    /// Receives and judges the next head. A connection that was never answered is given its time even when the gate
    /// stops: its request may be on its way.
    async fn receive_head(&mut self, watch: &mut Watch<'_>, first: bool) -> Result<(), Stop> {
        let limits = &self.listener.limits;
        // The first head's time runs from accept, and its timer was set then.
        let mut timed = first;
        let mut idle = false;
        loop {
            if !self.inbox.is_empty()
                && let Some(span) = self.scan.advance(self.inbox.bytes(), limits)?
            {
                self.head.read(self.inbox.bytes(), span, limits)?;
                self.scan = HeadScan::default();
                self.inbox.take_head(span.end, self.head.authority_range());
                return Ok(());
            }
            let begun = !self.inbox.is_empty();
            poll_fn(|cx| {
                if let Poll::Ready(read) = self.inbox.poll_read(&mut self.stream, cx) {
                    return Poll::Ready(if matches!(read, Ok(count) if count > 0) { Ok(()) } else { Err(Stop::Gone) });
                }
                if begun && !timed {
                    timed = true;
                    self.timer.set(limits.header_time);
                } else if !begun && !first && !idle {
                    idle = true;
                    self.timer.set(limits.idle_time);
                }
                // Closing over a request that just arrived would lose it; the runtime is about to learn of its bytes.
                if !begun && !first && watch.poll_stopping(cx) && !self.stream.has_unread() {
                    return Poll::Ready(Err(Stop::Gone));
                }
                ready!(self.timer.poll_due(cx));
                Poll::Ready(Err(if begun { Stop::Refused(Refusal::HeadTimeout) } else { Stop::Gone }))
            })
            .await?;
        }
    }

    /// Receives the body the head announces.
    async fn receive_body(&mut self) -> Result<Bytes, Stop> {
        let Some(mut upload) = Upload::new(self.head.framing(), &self.listener.limits, &self.listener.gate)? else {
            return Ok(Bytes::new());
        };
        if self.head.expects_continue() && self.inbox.rest().is_empty() {
            self.sender().write_bytes(b"HTTP/1.1 100 Continue\r\n\r\n").await.map_err(|_| Stop::Gone)?;
        }
        self.timer.set(self.listener.limits.body_time);
        loop {
            let decoded = upload.feed(self.inbox.rest())?;
            self.inbox.use_rest(decoded.used);
            if decoded.done {
                return Ok(upload.finish());
            }
            self.inbox.make_body_room();
            poll_fn(|cx| match self.inbox.poll_read(&mut self.stream, cx) {
                Poll::Ready(Ok(count)) if count > 0 => Poll::Ready(Ok(())),
                Poll::Ready(_) => Poll::Ready(Err(Stop::Gone)),
                Poll::Pending => self.timer.poll_due(cx).map(|()| Err(Refusal::BodyTimeout.into())),
            })
            .await?;
        }
    }

    /// Asks the service and sends what it says. Returns whether the connection lives on.
    async fn answer(&mut self, listener: &Listener<S>, body: Bytes, more: bool) -> Result<bool, End> {
        listener.lane.requests.fetch_add(1, Relaxed);
        let (written, method_is_head, body) = self.ask(body).await.ok_or(End::Quiet)?;
        if written.status >= SERVER_ERRORS {
            listener.lane.server_errors.fetch_add(1, Relaxed);
        }
        let keep = more && self.head.keep_alive() && listener.gate.phase() < Phase::Stop;
        let asked = Asked { version: self.head.version(), method_is_head, keep };
        self.inbox.release_head();
        let framed = finish_head(&mut self.out, written, asked, body);
        let mut sender = Sender::new(&mut self.stream, &mut self.timer, &listener.lane, &listener.limits);
        let sent = match framed.tail {
            Tail::Nothing => sender.write_bytes(&self.out).await,
            Tail::Slices(mut slices) => sender.write(&self.out, &mut slices, b"").await,
            Tail::Stream { delimiter, mut source } => sender.stream(&mut self.out, source.as_mut(), delimiter, &mut self.inbox).await,
        };
        match sent {
            Ok(()) => Ok(framed.keep),
            Err(SendError::Gone | SendError::Write(_)) => Err(End::Quiet),
            Err(error) => {
                tracing::debug!(peer = %self.peer, %error, "response broken off");
                Err(End::Reset)
            }
        }
    }

    /// Runs the service. Meanwhile the client is watched: `None` when it goes away.
    async fn ask(&mut self, body: Bytes) -> Option<(Written, bool, super::Body)> {
        self.out.clear();
        self.inbox.make_room();
        let (bytes, room) = self.inbox.split();
        let request = self.head.request(bytes, self.peer, self.local, body);
        let mut head = ResponseHead::new(&mut self.out);
        let mut watched = 0;
        let body = {
            let mut respond = pin!(self.service.respond(&request, &mut head));
            let stream = &mut self.stream;
            poll_fn(|cx| {
                if let Poll::Ready(body) = respond.as_mut().poll(cx) {
                    return Poll::Ready(Some(body));
                }
                while watched < room.len() {
                    match ready!(poll_read_into(stream, &mut room[watched..], cx)) {
                        Ok(count) if count > 0 => watched += count,
                        Ok(_) | Err(_) => return Poll::Ready(None),
                    }
                }
                Poll::Pending
            })
            .await?
        };
        let (written, method_is_head) = (head.written(), request.method == "HEAD");
        self.inbox.grown(watched);
        Some((written, method_is_head, body))
    }

    /// Answers a refusal with its status and its word.
    async fn refuse(&mut self, refusal: Refusal) -> End {
        self.listener.lane.refuse(refusal);
        tracing::debug!(peer = %self.peer, reason = refusal.as_str(), "request refused");
        let mut out = Vec::new();
        let mut head = ResponseHead::new(&mut out);
        head.status(refusal.status());
        head.field("Content-Type", "text/plain");
        let asked = Asked { version: super::HttpVersion::Http11, method_is_head: false, keep: false };
        let written = head.written();
        finish_head(&mut out, written, asked, super::Body::bytes(refusal.as_str()));
        out.extend_from_slice(refusal.as_str().as_bytes());
        match self.sender().write_bytes(&out).await {
            Ok(()) => End::Linger,
            Err(_) => End::Quiet,
        }
    }

    fn sender(&mut self) -> Sender<'_, T> {
        Sender::new(&mut self.stream, &mut self.timer, &self.listener.lane, &self.listener.limits)
    }

    /// Closes our half, then reads on for a while: closing over unread bytes would reset the connection and could take
    /// the answer from the client (RFC 9112 9.6).
    async fn linger(&mut self) {
        if poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx)).await.is_err() {
            return;
        }
        self.timer.set(LINGER_TIME);
        let scratch = self.inbox.discard();
        let mut left = LINGER_BYTES;
        poll_fn(|cx| {
            while left > 0 {
                match poll_read_into(&mut self.stream, scratch, cx) {
                    Poll::Ready(Ok(count)) if count > 0 => left = left.saturating_sub(count),
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return self.timer.poll_due(cx),
                }
            }
            Poll::Ready(())
        })
        .await;
    }
}

/// A connection's eye on the gate: it registers for wake-ups once per change, not once per request.
struct Watch<'g> {
    gate: &'g Gate,
    registered: Option<GateState>,
    changed: Pin<Box<Notified<'g>>>,
}

impl<'g> Watch<'g> {
    fn new(gate: &'g Gate) -> Self {
        Self { gate, registered: None, changed: Box::pin(gate.changes().notified()) }
    }

    /// Whether the gate is past `Accept`; if not, the task wakes when it changes.
    fn poll_stopping(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            let state = self.gate.state();
            if state.phase() >= Phase::Stop {
                return true;
            }
            if self.registered == Some(state) {
                return false;
            }
            self.changed.set(self.gate.changes().notified());
            // Pending: registered. Ready: it changed in between, and the next turn sees that.
            if self.changed.as_mut().poll(cx).is_pending() {
                self.registered = Some(state);
            }
        }
    }
}

#[cfg(test)]
mod tests;
