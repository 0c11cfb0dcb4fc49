//! Encrypted files in git: random histories that are merged, and a team that works on them.

mod histories;
mod play;
mod worktree;
