//! Operations of any component: model calls, agents, steps of a pipeline, with whatever numbers belong to them.

use super::field::{Layout, Takes, fields};
use super::{Fields, Group, Instrument, Kind};
use crate::ingest::Refusal;
use crate::ingest::writer::Writer;

pub(super) static KIND: Kind = Kind {
    name: "operation",
    help: "An operation of a component: a model call, a step of a pipeline.",
    groups: &[
        Group {
            labels: &["component", "operation", "outcome"],
            tagged: true,
            instruments: &[Instrument::histogram("app_operation_duration_seconds", "duration", "Time that an operation took.")],
        },
        Group {
            labels: &["component", "operation", "measure"],
            tagged: true,
            instruments: &[Instrument::counter("app_operation_measure_total", "measures", "What operations have measured, added up.")],
        },
    ],
    layout: Layout::new(true, FIELDS),
    read,
};

const OUTCOME_GROUP: usize = 0;
const MEASURE: usize = 1;

fields! {
    COMPONENT "component" Takes::Text, "the part of the application";
    NAME "name" Takes::Text, "the operation; required";
    OUTCOME "outcome" Takes::Text, "how it ended; `ok` by default";
    MEASURES "measures" Takes::Numbers, "an object of numbers, none of them negative: `{\"tokens_in\": 812}`; needed unless there is a duration";
}

fn read(fields: &Fields<'_>, writer: &mut Writer<'_>) -> Result<(), Refusal> {
    let name = fields.required(NAME)?;
    let duration = fields.duration()?;
    let mut measures = 0;
    for (_, measure) in fields.numbers(MEASURES) {
        measures += 1;
        if measure < 0.0 {
            return Err(Refusal::NegativeCount);
        }
    }
    if duration.is_none() && measures == 0 {
        return Err(Refusal::MissingField);
    }
    writer.add(OUTCOME_GROUP, &[duration], |values| {
        values.text(fields.text(COMPONENT));
        values.text(Some(name));
        values.text(fields.text(OUTCOME).or(Some("ok")));
    })?;
    for (measure, value) in fields.numbers(MEASURES) {
        writer.add(MEASURE, &[Some(value)], |values| {
            values.text(fields.text(COMPONENT));
            values.text(Some(name));
            values.text(Some(measure));
        })?;
    }
    Ok(())
}
