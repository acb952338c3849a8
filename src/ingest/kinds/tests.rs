//! What the kinds say of themselves holds.

use std::collections::HashSet;

use super::field::FIELDS_MAX;
use super::*;
use crate::model::{is_label_name, is_metric_name, reserved_label, reserved_name};

#[test]
fn every_kind_is_found_by_its_name_and_every_field_by_its_key() {
    for (number, kind) in ALL.iter().enumerate() {
        assert_eq!(find(kind.name).map(Kind::number), Some(number));
        let fields: Vec<&str> = kind.fields().map(|field| field.name).collect();
        assert_eq!(fields.iter().collect::<HashSet<_>>().len(), fields.len(), "{}", kind.name);
        assert!(fields.len() <= FIELDS_MAX);
        for name in fields {
            assert_eq!(kind.find(name).map(|(_, field)| field.name), Some(name));
        }
    }
}

#[test]
fn names_are_legal_and_each_belongs_to_one_group() {
    let mut names = HashSet::new();
    for group in ALL.iter().flat_map(|kind| kind.groups) {
        assert!(group.instruments.len() <= INSTRUMENTS_MAX);
        assert!(group.labels.iter().all(|label| is_label_name(label) && !reserved_label(label)));
        for instrument in group.instruments {
            assert!(is_metric_name(instrument.name) && !reserved_name(instrument.name), "{}", instrument.name);
            assert_eq!(instrument.kind == MetricType::Counter, instrument.name.ends_with("_total"), "{}", instrument.name);
            assert!(names.insert(instrument.name), "{} stands there twice", instrument.name);
        }
    }
}
