//! file (in work).
