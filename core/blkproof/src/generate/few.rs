//! A short list that lies in place.

use core::ops::{Deref, DerefMut};

/// At most `N` items; the oldest makes room for one more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Few<T, const N: usize> {
    items: [T; N],
    len: usize,
}

impl<T: Copy + Default, const N: usize> Default for Few<T, N> {
    fn default() -> Self {
        Self {
            items: [T::default(); N],
            len: 0,
        }
    }
}

impl<T: Copy, const N: usize> Few<T, N> {
    pub(super) fn push(&mut self, item: T) {
        if self.len == N {
            self.remove(0);
        }
        self.items[self.len] = item;
        self.len += 1;
    }

    /// Takes an item out; those behind it move up.
    pub(super) fn remove(&mut self, index: usize) -> T {
        let item = self.items[index];
        self.items.copy_within(index + 1..self.len, index);
        self.len -= 1;
        item
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        let mut kept = 0;
        for index in 0..self.len {
            if keep(&self.items[index]) {
                self.items[kept] = self.items[index];
                kept += 1;
            }
        }
        self.len = kept;
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }
}

impl<T, const N: usize> Deref for Few<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items[..self.len]
    }
}

impl<T, const N: usize> DerefMut for Few<T, N> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.items[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::Few;

    #[test]
    fn the_oldest_item_makes_room() {
        let mut few: Few<u32, 3> = Few::default();
        (1..=4).for_each(|item| few.push(item));
        assert_eq!(*few, [2, 3, 4]);
        assert_eq!(few.remove(1), 3);
        assert_eq!(*few, [2, 4]);
        few.retain(|item| *item > 2);
        assert_eq!(*few, [4]);
        few.clear();
        assert!(few.is_empty());
    }
}
