//! Rule files, the alert state machine, templates, and the loop that evaluates them.
