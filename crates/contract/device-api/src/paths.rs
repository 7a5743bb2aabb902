//! Paths of the device API.

/// POST [`crate::EnrolRequest`]: no client certificate.
pub const ENROL: &str = "/device/v1/enrol";
/// POST [`crate::Report`].
pub const REPORT: &str = "/device/v1/report";
/// GET with `term`, `generation`, `update` (the revision of the last [`crate::UpdateWord`], 0 for none), `wait_ms`: [`crate::Poll`].
pub const CONFIGURATION: &str = "/device/v1/configuration";
/// GET, with ranges: the release archive with this SHA-256, at `/device/v1/software/{sha256}`.
pub const SOFTWARE: &str = "/device/v1/software";
/// GET: the newest signed metadata of the network's releases.
pub const RELEASE_METADATA: &str = "/device/v1/release-metadata";
/// POST [`crate::Answer`] to `/device/v1/answers/{id}`.
pub const ANSWERS: &str = "/device/v1/answers";
/// POST [`crate::PairPoll`]: the standby's long poll.
pub const PAIR_POLL: &str = "/device/v1/pair/poll";
/// GET: a copy of `config.db`; the header `Weir-Hello` is the [`crate::PairHello`] it was made at, `Weir-Sha256` that of the bytes.
pub const PAIR_SNAPSHOT: &str = "/device/v1/pair/snapshot";
/// POST [`crate::YieldRequest`].
pub const PAIR_YIELD: &str = "/device/v1/pair/yield";
/// GET [`crate::PairHello`]: every manager answers it in every state in which it knows itself.
pub const PAIR_HELLO: &str = "/device/v1/pair/hello";
/// POST a [`SwitchOrder`](crate::SwitchOrder): the standby becomes another version; answers its HELLO.
pub const PAIR_SWITCH: &str = "/device/v1/pair/switch";
/// GET (an engine fetches it to keep it) and PUT (an engine gives it back): a backup, at `/device/v1/vault/{sha256}`.
pub const VAULT: &str = "/device/v1/vault";
