//! Lists, page by page.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Items of one page when the request names no limit.
pub const PAGE_ITEMS: u32 = 1_000;
/// Most items one page holds.
pub const PAGE_ITEMS_MAX: u32 = 10_000;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Listing<T> {
    /// The items, in a stable order.
    pub items: Vec<T>,
    /// Pass as `after` for the next page; null at the end.
    pub next: Option<String>,
}

/// Which page of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(required = false)]
    pub after: Option<String>,
    /// Most items wanted, 1 to 10,000; 1,000 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(required = false)]
    pub limit: Option<u32>,
}
