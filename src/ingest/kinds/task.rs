//! Background tasks: how long they take, and how many are in which state. A task is followed by its `task_id` from its first
//! event to its last, so that it counts in one state at a time; a task that says nothing any more is given up after a while.

use super::field::{Layout, Takes, fields};
use super::{Fields, Group, Instrument, Kind};
use crate::ingest::Refusal;
use crate::ingest::writer::Writer;

pub(super) static KIND: Kind = Kind {
    name: "task",
    help: "A background task's new state, or its progress.",
    groups: &[
        Group {
            labels: &["task", "queue", "outcome"],
            tagged: true,
            instruments: &[Instrument::histogram("app_task_duration_seconds", "duration", "Time that a task took until it ended.")],
        },
        Group {
            labels: &["task", "queue", "state"],
            tagged: false,
            instruments: &[Instrument::sum(
                "app_tasks",
                "state",
                "Tasks that are `pending`, `running` or `retrying`, summed over live senders.",
            )],
        },
        Group {
            labels: &["task", "queue"],
            tagged: false,
            instruments: &[
                Instrument::counter("app_task_retries_total", "state", "How often tasks had to be tried again."),
                Instrument::sum(
                    "app_tasks_stalled",
                    "state",
                    "Running tasks that have said nothing for `ingest.task_stalled_after`, summed over live senders.",
                ),
            ],
        },
    ],
    layout: Layout::new(true, FIELDS),
    read,
};

const OUTCOME: usize = 0;
const STATE_GROUP: usize = 1;
const TASK: usize = 2;
const STALLED: usize = 1;

fields! {
    NAME "name" Takes::Text, "the task's name; required";
    QUEUE "queue" Takes::Text, "the queue that it comes from";
    STATE "state" Takes::Word(&["pending", "running", "retrying", "completed", "failed", "cancelled"]), "required; the first three need a `task_id`, `completed` and `failed` a duration. `running` may come again, as a sign of life";
    DONE "done" Takes::Number, "how much is done; context only";
    TOTAL "total" Takes::Number, "how much there is to do; context only";
    ATTEMPT "attempt" Takes::Whole, "which attempt it is; context only";
    ERROR "error" Takes::Text, "the class of the failure; context only";
}

/// An open task, as it counts now.
#[derive(Clone, Copy, Debug)]
pub(in crate::ingest) struct Task {
    /// The slot of its state.
    pub(in crate::ingest) slot: usize,
    /// While it runs: the slot in which it counts when it stalls, and whether it does.
    pub(in crate::ingest) stalled: Option<(usize, bool)>,
}

fn read(fields: &Fields<'_>, writer: &mut Writer<'_>) -> Result<(), Refusal> {
    let name = fields.required(NAME)?;
    let state = fields.required(STATE)?;
    let duration = fields.duration()?;
    let (id, queue) = (fields.task_id(), fields.text(QUEUE));
    fields.amount(DONE)?;
    fields.amount(TOTAL)?;
    match state {
        "completed" | "failed" | "cancelled" => {
            if duration.is_none() && state != "cancelled" {
                return Err(Refusal::MissingField);
            }
            writer.add(OUTCOME, &[duration], |values| {
                values.text(Some(name));
                values.text(queue);
                values.text(Some(state));
            })?;
            if let Some(id) = id {
                writer.end_task(id);
            }
            Ok(())
        }
        _ => {
            let id = id.ok_or(Refusal::MissingField)?;
            let slot = writer.slot(STATE_GROUP, 0, |values| {
                values.text(Some(name));
                values.text(queue);
                values.text(Some(state));
            })?;
            let stalled = match state {
                "running" => Some(writer.slot(TASK, STALLED, |values| {
                    values.text(Some(name));
                    values.text(queue);
                })?),
                _ => None,
            };
            writer.move_task(id, slot, stalled)?;
            let retries = (state == "retrying").then_some(1.0);
            writer.add(TASK, &[retries], |values| {
                values.text(Some(name));
                values.text(queue);
            })
        }
    }
}
