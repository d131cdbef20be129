//! Explicit-state model checks of segring's protocols: every interleaving of single steps, kills
//! included, of small programs that follow the code step by step.
//!
//! A model is a folder with the state, the steps and the properties; [`check`] runs any of them.

pub mod check;
pub mod exchange;
pub mod inline;
pub mod waiting;
