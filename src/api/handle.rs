//! What all handles have in common besides their messages. The argument is the field that waits and trusts.

macro_rules! handle_methods {
    ($field:ident) => {
        /// What this handle does while it has to wait, from the next call on.
        /// [`WaitStrategy`](crate::WaitStrategy) says what there is;
        /// [`Adaptive`](crate::WaitStrategy::Adaptive) at first.
        ///
        /// ```
        /// # use segring::{WaitStrategy, spsc};
        /// # let name = format!("doc-strategy-{}", std::process::id());
        /// # let ring = spsc::Ring::<u64>::builder(&*name).create()?;
        /// let mut rx = ring.consumer()?;
        /// rx.set_wait_strategy(WaitStrategy::BusySpin);
        /// # ring.remove()?;
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn set_wait_strategy(&mut self, strategy: $crate::ring::WaitStrategy) {
            self.$field.waits().set_strategy(strategy);
        }

        /// What this handle does while it has to wait.
        pub fn wait_strategy(&self) -> $crate::ring::WaitStrategy {
            self.$field.waits().strategy()
        }

        /// How this handle has waited since it was made, its `try_` calls left out.
        pub fn wait_stats(&self) -> $crate::ring::WaitStats {
            self.$field.waits().stats()
        }

        /// Adds the operations in place.
        ///
        /// # Safety
        /// As long as the handle lives, or anything that was taken or reserved with it, every process that has the segment attached for writing
        /// writes it through segring only. (A process that scribbles over it, through `shmat` of its
        /// own or a stray pointer, could change what a reference points to.)
        #[allow(unsafe_code)]
        pub unsafe fn trust_peers(mut self) -> $crate::api::trusted::Trusted<Self> {
            // SAFETY: the caller's promise is the one that `Trust` asks for.
            self.$field.trust(unsafe { $crate::layout::view::Trust::new() });
            $crate::api::trusted::Trusted::new(self)
        }
    };
}
pub(crate) use handle_methods;
