//! Why something that was received is not counted as it was meant. One list for the decoders, the naming, the sockets
//! and the registry; the documentation's table is made from it.

use crate::registry;

macro_rules! refusals {
    ($($name:ident $label:literal $sentence:literal;)*) => {
        /// Why something that was received is not counted as it was meant.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
        pub enum Refusal {
            $(#[doc = $sentence] #[error($sentence)] $name,)*
        }

        impl Refusal {
            /// All reasons, in the order of the path that an event takes.
            pub const ALL: [Self; [$($label),*].len()] = [$(Self::$name),*];

            /// The reason as it stands in the label `reason`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $label,)*
                }
            }
        }
    };
}

refusals! {
    NotAllowed "not_allowed" "the sender is none of those who may send";
    Quota "quota" "the sender has sent more than it may in the time";
    FrameTooLarge "frame_too_large" "the line or frame is larger than the limit";
    Truncated "truncated" "the datagram was larger than the limit, or the connection ended inside a frame";
    KernelDrops "kernel_drops" "the datagram came while the socket's buffer was full, and the kernel dropped it";
    NotUtf8 "not_utf8" "the line is not UTF-8";
    Malformed "malformed" "the line is neither an event nor a StatsD metric";
    BadJson "bad_json" "the line is not one JSON object";
    WrongType "wrong_type" "a field has another type than the protocol says, or stands there twice";
    MissingField "missing_field" "a field that this kind of event needs is not there";
    BadDuration "bad_duration" "a duration is given in more than one unit";
    BadValue "bad_value" "a number cannot be read or is out of its range";
    BadRate "bad_rate" "the sampling rate is not a number above zero";
    BadTimestamp "bad_timestamp" "the time stamp is not a whole number of seconds above zero";
    FutureTimestamp "future_timestamp" "the time stamp is further in the future than clocks may differ";
    BadLength "bad_length" "the lengths in a StatsD event are not those of its title and text in bytes";
    MixedTags "mixed_tags" "the tags of a StatsD line are written in more than one way";
    NotFinite "not_finite" "the value is not a number or not finite";
    NegativeCount "negative_count" "a counter cannot fall";
    UnknownKind "unknown_kind" "there is no such kind of event";
    UnknownType "unknown_type" "there is no such StatsD type";
    EmptyName "empty_name" "the metric has no name";
    NameTooLong "name_too_long" "the metric's name is longer than the limit";
    Reserved "reserved" "the metric's name or a label belongs to the agent";
    TooManyLabels "too_many_labels" "there are more labels than the limit";
    LabelTooLong "label_too_long" "a label is longer than the limit";
    OpenRequests "open_requests" "too many requests of this sender are open; this one is not among the active ones";
    OpenTasks "open_tasks" "too many tasks of this sender are open; this one counts in no state";
    TypeConflict "type_conflict" "the name belongs to a metric of another type";
    SeriesLimit "series_limit" "there are too many metric names";
    Memory "memory" "there is no memory for another metric name";
    StaleTimestamp "stale_timestamp" "the gauge holds a value with a time stamp that is not older";
    SenderLimit "sender_limit" "the sender makes too many new series";
    Overflow "overflow" "the value of the series would be no finite number any more";
}

impl From<registry::Refusal> for Refusal {
    fn from(reason: registry::Refusal) -> Self {
        match reason {
            registry::Refusal::TypeConflict => Self::TypeConflict,
            registry::Refusal::SeriesLimit => Self::SeriesLimit,
            registry::Refusal::Memory => Self::Memory,
            registry::Refusal::StaleTimestamp => Self::StaleTimestamp,
            registry::Refusal::SenderLimit => Self::SenderLimit,
            registry::Refusal::Overflow => Self::Overflow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registrys_reasons_keep_their_words() {
        for reason in registry::Refusal::ALL {
            assert_eq!(Refusal::from(reason).as_str(), reason.as_str());
            assert_eq!(Refusal::from(reason).to_string(), reason.to_string());
        }
    }
}
