//! document (in work).
