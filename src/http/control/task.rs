//! The task that serves the control socket.

use std::sync::Arc;

use super::serve::Control;
use crate::clock;
use crate::http::listen::Bound;
use crate::http::task::serve;
use crate::model::Condition;
use crate::runtime::{TaskContext, TaskResult};

/// Serves until the agent stops.
///
/// # Errors
/// None: what goes wrong ends a connection at most.
pub async fn run_control(control: Arc<Control>, bound: Arc<Bound>, context: TaskContext) -> TaskResult {
    control.board.report("control", Condition::Ok, &control.path.display().to_string(), clock::now());
    serve(control, bound, context).await
}
