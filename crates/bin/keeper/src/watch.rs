//! What the keeper waits for: signals, the lifeline, the worker's control socket and the worker's process.

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct News {
    /// SIGTERM or SIGINT came.
    pub(crate) signal: bool,
    /// The lifeline closed.
    pub(crate) lifeline: bool,
    /// The control socket has a message or is closed.
    pub(crate) control: bool,
    /// The worker's process has ended.
    pub(crate) worker: bool,
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
    pub(crate) fn wait(
        &mut self,
        control: Option<BorrowedFd<'_>>,
        worker: Option<BorrowedFd<'_>>,
        deadline: Option<Instant>,
    ) -> Result<News, Failure> {
        let sources = [Some(self.signals.as_fd()), self.lifeline.as_ref().map(AsFd::as_fd), control, worker];
        let places: Vec<usize> = (0..sources.len()).filter(|at| sources[*at].is_some()).collect();
        let mut fds: Vec<PollFd<'_>> = sources.into_iter().flatten().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        let left = deadline.map(|deadline| deadline.saturating_duration_since(weir_clock::monotonic()));
        let timeout = left.map(|left| Timespec::try_from(left).expect("the keeper's waits fit a timespec"));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(News::default()),
            Err(errno) => return Err(Failure::system("wait for news")(errno.into())),
        }
        let mut ready = [false; 4];
        for (fd, place) in fds.iter().zip(places) {
            ready[place] = !fd.revents().is_empty();
        }
        let [signals, lifeline, control, worker] = ready;
        Ok(News { signal: signals && self.took_signal(), lifeline: lifeline && self.lifeline_closed(), control, worker })
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
