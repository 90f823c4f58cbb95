//! The core against a scripted server, in virtual time.
