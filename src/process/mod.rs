//! A child process that cannot hang or leak: spawn, streams, deadlines, whole-group kill.
