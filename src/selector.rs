//! selector (in work).
