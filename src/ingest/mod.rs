//! Events from application processes over Unix sockets.
