//! os (in work).
