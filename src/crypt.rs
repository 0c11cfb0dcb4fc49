//! crypt (in work).
