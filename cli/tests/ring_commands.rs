//! `segring create`, `send`, `recv`, `ls` and `rm` as their users see them: the real program, in
//! real processes.

#[path = "ring_commands/admin.rs"]
mod admin;
#[path = "ring_commands/ends.rs"]
mod ends;
#[path = "ring_commands/name.rs"]
mod name;
#[path = "ring_commands/side.rs"]
mod side;
#[path = "ring_commands/streams.rs"]
mod streams;
