//! Removes what is left if the benchmark itself is killed.
//!
//! System V objects outlive their processes, and no handler runs on `kill -9`. So a small process
//! reads from a pipe which objects exist; at the end of the pipe, which the kernel makes whatever
//! happens to the writer, it removes those that are left. Usually there are none.

use crate::transports::sysv::Object;
use crate::{OWN_PROGRAM, WORKER};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::rc::Rc;

/// Its role among the workers.
pub(crate) const ROLE: &str = "keeper";

#[derive(Serialize, Deserialize)]
enum Note {
    Made(Object),
    Gone(Object),
}

/// The parent's tie to the keeper's process.
pub struct Keeper {
    /// `None` only while it is being dropped.
    pipe: Option<ChildStdin>,
    child: Child,
}

impl Keeper {
    pub(crate) fn start() -> Result<Rc<Self>> {
        let mut child = Command::new(OWN_PROGRAM)
            .arg0("segring")
            .args([WORKER, ROLE])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            // Ctrl-C is for the parent.
            .process_group(0)
            .spawn()
            .context("start the keeper")?;
        let pipe = child.stdin.take();
        Ok(Rc::new(Self { pipe, child }))
    }

    /// Objects that were just made, until the result is dropped.
    pub(crate) fn watch(self: &Rc<Self>, objects: &[Object]) -> Result<Kept> {
        for &object in objects {
            self.tell(&Note::Made(object))?;
        }
        Ok(Kept { keeper: Rc::clone(self), objects: objects.to_vec() })
    }

    /// The same, for a ring's segment and set.
    ///
    /// # Errors
    /// If the keeper's process has gone.
    pub fn watch_ring(self: &Rc<Self>, segment: i32, set: i32) -> Result<Kept> {
        self.watch(&[Object::Segment(segment), Object::Set(set)])
    }

    fn tell(&self, note: &Note) -> Result<()> {
        let mut line = serde_json::to_string(note).context("note")?;
        line.push('\n');
        let mut pipe = self.pipe.as_ref().context("the keeper has gone")?;
        pipe.write_all(line.as_bytes()).context("write to the keeper")
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.pipe = None;
        let _ = self.child.wait();
    }
}

/// Objects that the keeper watches.
pub struct Kept {
    keeper: Rc<Keeper>,
    objects: Vec<Object>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        for &object in &self.objects {
            // Without a keeper nobody needs to know.
            let _ = self.keeper.tell(&Note::Gone(object));
        }
    }
}

/// The keeper's process.
pub(crate) fn main() -> Result<ExitCode> {
    let mut left: Vec<Object> = Vec::new();
    for line in std::io::stdin().lock().lines() {
        // A line that the writer's death cut short names nothing.
        let Ok(line) = line else { break };
        match serde_json::from_str(&line) {
            Ok(Note::Made(object)) => left.push(object),
            Ok(Note::Gone(object)) => left.retain(|&other| other != object),
            Err(_) => {}
        }
    }
    let mut code = ExitCode::SUCCESS;
    for object in left {
        if let Err(e) = object.remove() {
            eprintln!("segring: the keeper: {e:#}");
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}
