//! How a rollout brings the level to a line.

use crate::app::App;
use std::sync::Arc;
use weir_model::Line;
use weir_operator_api::{Problem, Reason};

pub(crate) async fn bring(_app: &Arc<App>, line: Line) -> Result<(), Problem> {
    Err(Problem::new(Reason::GateClosed, format!("level {line}")))
}
