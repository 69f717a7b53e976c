//! A byte buffer whose first byte lies on a cache line, so that no vector load of weights straddles two.

/// One cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Zeroed bytes that begin on a 64-byte boundary.
pub(in crate::native) struct AlignedBytes {
    lines: Vec<Line>,
    len: usize,
}

impl AlignedBytes {
    /// `len` zero bytes.
    pub(in crate::native) fn zeroed(len: usize) -> Self {
        AlignedBytes { lines: vec![Line([0; 64]); len.div_ceil(64)], len }
    }

    /// Makes it `len` bytes long; what was there stays or is zero, so the buffer can be used again and again.
    pub(in crate::native) fn resize(&mut self, len: usize) {
        self.lines.resize(len.div_ceil(64), Line([0; 64]));
        self.len = len;
    }

    /// The bytes as unsigned numbers.
    pub(in crate::native) fn unsigned(&self) -> &[u8] {
        // SAFETY: a `Line` is 64 bytes without padding, and `len` is never more than all lines hold.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }

    /// The bytes as unsigned numbers, to be written.
    pub(in crate::native) fn unsigned_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `unsigned`; the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }

    /// The bytes as signed numbers.
    pub(in crate::native) fn signed(&self) -> &[i8] {
        // SAFETY: as in `unsigned`; every byte is a valid `i8`.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }

    /// The bytes as signed numbers, to be written.
    pub(in crate::native) fn signed_mut(&mut self) -> &mut [i8] {
        // SAFETY: as in `signed`; the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_on_a_cache_line_and_keeps_its_bytes_when_resized() {
        let mut bytes = AlignedBytes::zeroed(70);
        assert_eq!(bytes.unsigned().as_ptr() as usize % 64, 0);
        assert_eq!(bytes.unsigned().len(), 70);
        bytes.signed_mut()[69] = -1;
        bytes.resize(200);
        assert_eq!(bytes.unsigned()[69], 255);
        assert_eq!(&bytes.signed()[68..72], &[0, -1, 0, 0]);
    }
}
