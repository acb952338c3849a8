//! Builds all rooms, wires them, reloads and stops them; systemd and signals.
