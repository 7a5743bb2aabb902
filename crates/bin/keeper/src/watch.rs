//! What the keeper waits for: signals, the lifeline, the workers' control sockets and their processes.

use crate::failure::Failure;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::{
    io::{self, Read},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    time::Instant,
};

/// What has news.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct News {
    /// SIGTERM or SIGINT came.
    pub(crate) signal: bool,
    /// The lifeline closed.
    pub(crate) lifeline: bool,
    /// The workers whose control socket has a message or is closed.
    pub(crate) control: Vec<u32>,
    /// The workers whose process has ended.
    pub(crate) ended: Vec<u32>,
}

/// What is waited for of one worker.
pub(crate) struct Watched<'a> {
    /// Its process id.
    pub(crate) pid: u32,
    /// Its control socket while it is open.
    pub(crate) control: Option<BorrowedFd<'a>>,
    /// Readable when the process has ended.
    pub(crate) process: BorrowedFd<'a>,
}

/// Whose a source is.
#[derive(Clone, Copy)]
enum Source {
    Signals,
    Lifeline,
    Control(u32),
    Process(u32),
}

/// The sources that last as long as the keeper.
pub(crate) struct Watch {
    signals: UnixStream,
    lifeline: Option<OwnedFd>,
}

impl Watch {
    /// Takes the signals, and standard input as the lifeline when asked to.
    pub(crate) fn new(lifeline: bool) -> Result<Self, Failure> {
        let take = || -> io::Result<Self> {
            let (signals, end) = UnixStream::pair()?;
            signals.set_nonblocking(true)?;
            for signal in [SIGTERM, SIGINT] {
                signal_hook::low_level::pipe::register(signal, end.try_clone()?)?;
            }
            let lifeline = if lifeline { Some(io::stdin().as_fd().try_clone_to_owned()?) } else { None };
            Ok(Self { signals, lifeline })
        };
        take().map_err(Failure::system("take signals and lifeline"))
    }

    /// Waits until something has news or `deadline` has passed.
    pub(crate) fn wait(&mut self, workers: &[Watched<'_>], deadline: Option<Instant>) -> Result<News, Failure> {
        let mut fds = vec![(Source::Signals, self.signals.as_fd())];
        fds.extend(self.lifeline.as_ref().map(|lifeline| (Source::Lifeline, lifeline.as_fd())));
        for worker in workers {
            fds.extend(worker.control.map(|control| (Source::Control(worker.pid), control)));
            fds.push((Source::Process(worker.pid), worker.process));
        }
        let ready = poll_by(&fds, deadline)?;
        let mut news = News::default();
        for source in ready {
            match source {
                Source::Signals => news.signal = self.took_signal(),
                Source::Lifeline => news.lifeline = self.lifeline_closed(),
                Source::Control(pid) => news.control.push(pid),
                Source::Process(pid) => news.ended.push(pid),
            }
        }
        Ok(news)
    }

    fn took_signal(&mut self) -> bool {
        matches!(self.signals.read(&mut [0; 64]), Ok(1..))
    }

    /// Reads what was written to the lifeline, which means nothing; its end means stop, once.
    fn lifeline_closed(&mut self) -> bool {
        let Some(lifeline) = &self.lifeline else { return false };
        match rustix::io::read(lifeline, &mut [0u8; 64]) {
            Ok(1..) | Err(Errno::INTR | Errno::AGAIN) => false,
            Ok(0) | Err(_) => {
                self.lifeline = None;
                true
            }
        }
    }
}

/// The sources that have news before `deadline`; none when it passed or a signal came first.
fn poll_by(sources: &[(Source, BorrowedFd<'_>)], deadline: Option<Instant>) -> Result<Vec<Source>, Failure> {
    let mut fds: Vec<PollFd<'_>> = sources.iter().map(|(_, fd)| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
    let left = deadline.map(|deadline| deadline.saturating_duration_since(weir_clock::monotonic()));
    let timeout = left.map(|left| Timespec::try_from(left).expect("the keeper's waits fit a timespec"));
    match poll(&mut fds, timeout.as_ref()) {
        Ok(_) => {}
        Err(Errno::INTR) => return Ok(Vec::new()),
        Err(errno) => return Err(Failure::system("wait for news")(errno.into())),
    }
    Ok(sources.iter().zip(fds).filter(|(_, fd)| !fd.revents().is_empty()).map(|((source, _), _)| *source).collect())
}
