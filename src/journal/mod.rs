//! The run as it is written down: append, sync, read back, repair.
