//! What devices say to managers and routers.
//!
//! - device → manager: JSON over HTTP/2 with mutual TLS ([`paths`], [`Report`], [`Poll`]); enrolment is the one call
//!   without a client certificate ([`EnrolRequest`]).
//! - engine → router: authenticated UDP keepalives ([`keepalive`]).
//!
//! Types and codecs only; `docs/protocols/device.md` and `docs/protocols/keepalive.md` are the pages.

pub mod enrolment;
pub mod hello;
pub mod keepalive;
pub mod pair;
pub mod paths;
pub mod poll;
pub mod report;
pub mod update;

pub use enrolment::{EnrolAnswer, EnrolRequest, EnrolToken};
pub use hello::Hello;
pub use pair::{
    OrderedBy, PairAnswer, PairHello, PairPoll, ShippedChangeset, ShippedEntry, SwitchOrder, SwitchStand, SwitchState, Verdict,
    YieldAnswer, YieldRequest,
};
pub use poll::{Answer, Ask, BACKUP_EXTENSION, Poll, Question, VAULT_BYTES_MAX, is_backup_name};
pub use report::{Answers, Condition, Drain, DrainSession, Listeners, Load, Report, ReportAnswer, RouterContact};
pub use update::{ArchivePlace, DirectSource, KeeperReport, SlotsReport, UpdateOrder, UpdateReport, UpdateWord};
