//! io (in work).
