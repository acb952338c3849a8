//! How tasks live: supervision, shutdown in stages, aligned tickers, bounded queues, and the board where every part posts its condition.
