//! keys (in work).
