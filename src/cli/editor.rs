//! editor (in work).
