//! Paths of the operator API, relative to the manager's base URL.

/// GET [`crate::NetworkStatus`].
pub const STATUS: &str = "/api/v1/status";
/// GET the OpenAPI 3.1 document; needs no token.
pub const OPENAPI: &str = "/api/v1/openapi.json";
/// GET, POST; one at `/{name}`: GET, PUT, DELETE; `/{name}/history`: GET; `/{name}/confirm-removal`: POST.
pub const LOCATIONS: &str = "/api/v1/locations";
/// GET; one at `/{name}`: GET, DELETE; `/{name}/activate`, `/{name}/deactivate`: POST; `/{name}/logs`: GET;
/// `/{name}/history`: GET; `/{name}/offload`: GET, POST; `/{name}/offload/preview`: GET; `/{name}/unoffload`: POST.
pub const DEVICES: &str = "/api/v1/devices";
/// GET: how every device stands that was ever assigned a version. One device at [`DEVICES`]`/{name}/update`: GET, POST; `/cancel`,
/// `/reload`, `/clear-burned` below it: POST; `/preview` below it: GET.
pub const UPDATES: &str = "/api/v1/updates";
/// GET [`crate::Rollout`]; POST [`crate::RolloutStart`]; `/plan`: POST [`crate::RolloutRequest`]; `/{verb}` and
/// `/devices/{name}/{verb}`: POST [`crate::RolloutWord`].
pub const ROLLOUT: &str = "/api/v1/rollout";
/// GET [`crate::Features`]: features that wait for the upgrade.
pub const FEATURES: &str = "/api/v1/features";
/// GET, POST; one at `/{name}`: GET, PUT (with `confirm`), DELETE; `/{name}/history`: GET.
pub const DELIVERY_SERVICES: &str = "/api/v1/delivery-services";
/// GET and PUT (with `confirm`) the whole set; `/history`: GET.
pub const COVERAGE_ZONES: &str = "/api/v1/coverage-zones";
/// GET, POST; one at `/{id}`: DELETE.
pub const ENROLMENT_TOKENS: &str = "/api/v1/enrolment-tokens";
/// GET, POST; one at `/{id}`: DELETE.
pub const TOKENS: &str = "/api/v1/tokens";
/// GET, POST; one at `/{name}`: DELETE; `/{name}/role`: POST; `/{name}/one-time-password`: POST, over the manager's own socket only.
pub const USERS: &str = "/api/v1/users";
/// GET; `/{id}/acknowledge`: POST.
pub const ALARMS: &str = "/api/v1/alarms";
/// GET; one at `/{rev}`: GET; `/{rev}/undo`: POST, with `confirm`.
pub const CHANGESETS: &str = "/api/v1/changesets";
/// GET, POST; one at `/{name}`: GET (the file), DELETE; `/{name}/confirm`: POST with the SHA-256 of what was downloaded; `/{name}/rehearse`: POST.
pub const BACKUPS: &str = "/api/v1/backups";
/// GET, PUT.
pub const BACKUP_SCHEDULE: &str = "/api/v1/backup-schedule";
/// GET: the whole network as a [`crate::NetworkDocument`].
pub const EXPORT: &str = "/api/v1/export";
/// POST a [`crate::NetworkDocument`], with `dry_run`, `confirm`: [`crate::ApplyOutcome`].
pub const APPLY: &str = "/api/v1/apply";
/// GET: [`crate::CmsInfo`] of the manager that is asked; primary and standby.
pub const PAIR: &str = "/api/v1/pair";
/// POST [`crate::RoleRequest`] to the primary (an administrator): the standby takes over.
pub const PAIR_ROLE: &str = "/api/v1/pair/role";
/// On the control socket only, in every CMS state: GET [`crate::CmsInfo`] at `/info`; POST `/enable`, `/disable`, `/role`, `/key/import`,
/// `/key/confirm`, `/database/{restore,rehearse,validate,maintenance,downgrade}`; GET `/key`; DELETE `/unreplicated/{name}`.
pub const CMS: &str = "/cms/v1";
/// GET.
pub const AUDIT: &str = "/api/v1/audit";
/// GET with `client`, `url` and, if one router is meant, `router`.
pub const ROUTE_EXPLAIN: &str = "/api/v1/route/explain";
/// GET, POST; one at `/{id}`: GET, DELETE; `/{id}/archive`: PUT, the bytes of an upload; `/{id}/validate`: POST.
pub const SOFTWARE_FILES: &str = "/api/v1/software-files";
/// GET: the rows of the Update Software page.
pub const SOFTWARE_CHOICES: &str = "/api/v1/software-choices";
/// GET and PUT: networks that software may be fetched from beside public ones.
pub const SOFTWARE_SOURCES: &str = "/api/v1/software-sources";
/// The socket below a manager's data directory that answers the same API to whoever may open it.
pub const LOCAL_SOCKET: &str = "run/cms.sock";
/// What an API token begins with: `weir-api.<id>.<secret>`.
pub const API_TOKEN_PREFIX: &str = "weir-api.";
/// Header of an answer to a write: `true` when the standby had it first, `false` when the primary acknowledged it alone; absent
/// without a standby, and when nothing was written.
pub const REPLICATED: &str = "weir-replicated";
