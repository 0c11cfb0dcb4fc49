//! metadata (in work).
