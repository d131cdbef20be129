//! In place: slots to write before a commit, slots to read before a release.

use super::consumer::{some, unless_closed};
use super::{ByLayout, Consumer, Producer, each};
use crate::api::link::Role;
use crate::api::payload::Payload;
use crate::api::trusted::Trusted;
use crate::layout::view::Trust;
use crate::ring::RingError;

impl<T: Payload> Trusted<Producer<T>> {
    /// Lends up to `n` free slots, at least one, to be written where they will be read. Wait-free.
    ///
    /// Dropping the grant, or being killed with it, commits nothing.
    ///
    /// # Errors
    /// [`Full`](RingError::Full) when there is none; as [`try_push`](Producer::try_push) else.
    ///
    /// ```
    /// # use segring::spsc;
    /// # let name = format!("doc-reserve-{}", std::process::id());
    /// # let ring = spsc::Ring::<[u8; 4096]>::builder(&*name).create()?;
    /// // SAFETY: only segring programs of this user write into this ring.
    /// let mut tx = unsafe { ring.producer()?.trust_peers() };
    /// let mut grant = tx.reserve(2)?;
    /// for page in grant.iter_mut() {
    ///     page.fill(7);
    /// }
    /// assert_eq!(grant.commit(2), 2);
    /// # ring.remove()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn reserve(&mut self, n: usize) -> Result<WriteGrant<'_, T>, RingError> {
        let handle = &mut self.handle;
        handle.check()?;
        let trust = handle.link.trusted()?;
        let wanted = (n as u64).max(1);
        let room = each!(&mut handle.engine, tx => tx.room(&handle.link.cursors().consumer, wanted))?;
        let n = wanted.min(room);
        if n == 0 {
            return Err(RingError::Full);
        }
        Ok(WriteGrant { handle, trust, n })
    }
}

/// Free slots, lent to the producer. See [`Trusted::reserve`].
///
/// What a slot holds before it is written is some earlier message.
#[must_use = "nothing is committed before commit"]
pub struct WriteGrant<'a, T: Payload> {
    handle: &'a mut Producer<T>,
    trust: Trust,
    n: u64,
}

impl<T: Payload> WriteGrant<'_, T> {
    /// How many slots: as many as asked for, or as are free. 0 in a forked child, which does not
    /// have them.
    #[allow(clippy::len_without_is_empty)]
    #[inline]
    pub fn len(&self) -> usize {
        if self.handle.link.check().is_ok() { self.n as usize } else { 0 }
    }

    /// Each slot, in order.
    #[inline]
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let (n, trust) = (self.len() as u64, self.trust);
        // One of the two parts is always empty: the layouts give iterators of different types.
        let (stamped, dense) = match &mut self.handle.engine {
            ByLayout::Stamped(tx) => {
                let at = tx.position();
                (Some(tx.slots.iter_mut(trust, at, n)), None)
            }
            ByLayout::Dense(tx) => {
                let at = tx.position();
                let (head, tail) = tx.slots.slices_mut(trust, at, n as usize);
                (None, Some(head.iter_mut().chain(tail)))
            }
        };
        stamped.into_iter().flatten().chain(dense.into_iter().flatten())
    }

    /// The slots as slices: up to the wrap, and from the start. `None` on a stamped ring, whose
    /// slots have stamps between them.
    #[inline]
    pub fn as_mut_slices(&mut self) -> Option<(&mut [T], &mut [T])> {
        let n = self.len();
        match &mut self.handle.engine {
            ByLayout::Stamped(_) => None,
            ByLayout::Dense(tx) => {
                let at = tx.position();
                Some(tx.slots.slices_mut(self.trust, at, n))
            }
        }
    }

    /// Commits the first `n` slots (all, if there are fewer), and says how many.
    #[inline]
    pub fn commit(self, n: usize) -> usize {
        let n = n.min(self.len());
        if n > 0 {
            let Producer { engine, link, .. } = self.handle;
            each!(engine, tx => tx.publish(link.cursors(), n as u64));
            link.wake(Role::Consumer);
        }
        n
    }
}

impl<T: Payload> Trusted<Consumer<T>> {
    /// Lends up to `n` messages, at least one, to be read where they lie. Wait-free.
    ///
    /// Dropping the grant releases nothing; a killed consumer's messages come again.
    ///
    /// # Errors
    /// [`Empty`](RingError::Empty) when there is none; as [`try_pop`](Consumer::try_pop) else.
    ///
    /// ```
    /// # use segring::spsc;
    /// # let name = format!("doc-read-{}", std::process::id());
    /// # let ring = spsc::Ring::<u64>::builder(&*name).create()?;
    /// # let mut tx = ring.producer()?;
    /// # tx.push_slice(&[1, 2, 3])?;
    /// // SAFETY: only segring programs of this user write into this ring.
    /// let mut rx = unsafe { ring.consumer()?.trust_peers() };
    /// let grant = rx.read(64)?;
    /// assert_eq!(grant.iter().sum::<u64>(), 6);
    /// assert_eq!(grant.release(2), 2);
    /// assert_eq!(rx.try_pop()?, 3);
    /// # ring.remove()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn read(&mut self, n: usize) -> Result<ReadGrant<'_, T>, RingError> {
        let handle = &mut self.handle;
        handle.link.check()?;
        let trust = handle.link.trusted()?;
        let Consumer { engine, link } = &mut *handle;
        let wanted = (n as u64).max(1);
        let cursors = link.cursors();
        let available =
            unless_closed!(link, some(each!(&mut *engine, rx => rx.available(&cursors.producer, wanted))))?;
        Ok(ReadGrant { handle, trust, n: wanted.min(available) })
    }
}

/// Messages, lent to the consumer. See [`Trusted::read`].
#[must_use = "nothing is released before release"]
pub struct ReadGrant<'a, T: Payload> {
    handle: &'a mut Consumer<T>,
    trust: Trust,
    n: u64,
}

impl<'a, T: Payload> ReadGrant<'a, T> {
    /// How many messages. 0 in a forked child, which does not have them.
    #[allow(clippy::len_without_is_empty)]
    #[inline]
    pub fn len(&self) -> usize {
        if self.handle.link.check().is_ok() { self.n as usize } else { 0 }
    }

    #[inline]
    fn get(&self, i: u64) -> &T {
        match &self.handle.engine {
            ByLayout::Stamped(rx) => rx.slots.get(self.trust, rx.position() + i),
            ByLayout::Dense(rx) => {
                let (head, tail) = rx.slots.slices(self.trust, rx.position(), self.n as usize);
                let i = i as usize;
                head.get(i).unwrap_or_else(|| &tail[i - head.len()])
            }
        }
    }

    /// Each message, in order. Releases none.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.len() as u64).map(|i| self.get(i))
    }

    /// The messages as slices: up to the wrap, and from the start. `None` on a stamped ring.
    #[inline]
    pub fn as_slices(&self) -> Option<(&[T], &[T])> {
        match &self.handle.engine {
            ByLayout::Stamped(_) => None,
            ByLayout::Dense(rx) => Some(rx.slots.slices(self.trust, rx.position(), self.len())),
        }
    }

    /// Gives the first `n` messages back (all, if there are fewer), and says how many.
    #[inline]
    pub fn release(self, n: usize) -> usize {
        let n = n.min(self.len());
        if n > 0 {
            let Consumer { engine, link } = self.handle;
            each!(engine, rx => rx.release(link.cursors(), n as u64));
            link.wake(Role::Producer);
        }
        n
    }

    /// Goes through the messages and releases each as the next one is asked for. Dropping it
    /// releases the ones that were gone past, but not the one in hand.
    ///
    /// ```
    /// # use segring::spsc;
    /// # let name = format!("doc-releasing-{}", std::process::id());
    /// # let ring = spsc::Ring::<u64>::builder(&*name).create()?;
    /// # let mut tx = ring.producer()?;
    /// # tx.push_slice(&[1, 2, 3])?;
    /// # // SAFETY: only segring programs of this user write into this ring.
    /// # let mut rx = unsafe { ring.consumer()?.trust_peers() };
    /// let mut messages = rx.read(64)?.releasing();
    /// while let Some(m) = messages.next() {
    ///     println!("{m}");
    /// }
    /// assert_eq!(rx.position(), 3);
    /// # ring.remove()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn releasing(self) -> Releasing<'a, T> {
        Releasing { grant: self, in_hand: false }
    }
}

/// Messages that are released one by one. See [`ReadGrant::releasing`].
pub struct Releasing<'a, T: Payload> {
    grant: ReadGrant<'a, T>,
    in_hand: bool,
}

impl<T: Payload> Releasing<'_, T> {
    /// Releases the message that the last call lent, and lends the next one.
    #[allow(clippy::should_implement_trait)]
    #[inline]
    pub fn next(&mut self) -> Option<&T> {
        if self.grant.len() == 0 {
            return None;
        }
        if std::mem::take(&mut self.in_hand) {
            let Consumer { engine, link } = &mut *self.grant.handle;
            each!(engine, rx => rx.release(link.cursors(), 1));
            link.wake(Role::Producer);
            self.grant.n -= 1;
        }
        if self.grant.n == 0 {
            return None;
        }
        self.in_hand = true;
        Some(self.grant.get(0))
    }
}
