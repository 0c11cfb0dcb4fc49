//! config (in work).
