//! AMX: the tile unit of Intel servers since Sapphire Rapids, 16 × 16 sums over 64 bytes in one instruction.
//!
//! Rust has no stable intrinsics for it, hence the assembly. Linux hands the tile registers out on request only.

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count};

use super::activations::{DEPTH, TILE};
use super::avx512_vnni::Avx512Vnni;
use super::isa::{Isa, Operation, Product};

/// Proof that the CPU has AMX with 8-bit integers, that this process may use it, and AVX-512 VNNI with it.
#[derive(Clone, Copy)]
pub(super) struct Amx(Avx512Vnni);

impl Amx {
    /// `None` where the CPU lacks it or the system doesn't grant it.
    pub(super) fn new() -> Option<Self> {
        Avx512Vnni::new().filter(|_| has_tiles() && granted()).map(Amx)
    }
}

/// AMX-TILE and AMX-INT8: bits 24 and 25 of EDX in leaf 7.
fn has_tiles() -> bool {
    const BOTH: u32 = 0b11 << 24;
    __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & BOTH == BOTH
}

/// Asks Linux for the tile data state (`arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`); holds for all threads.
fn granted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    const XFEATURE_XTILEDATA: u64 = 18;
    let answer: i64;
    // SAFETY: a system call that takes two numbers and touches no memory of ours; the kernel clobbers RCX and R11.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => answer,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    answer == 0
}

impl Isa for Amx {
    const WIDTH: usize = Avx512Vnni::WIDTH;

    #[inline]
    fn run<O: Operation>(self, operation: O) -> O::Output {
        self.0.run(operation)
    }

    /// Whole tiles of sixteen rows here, what is left over by AVX-512: the sums are exact, so it can't be told.
    fn accumulate(self, product: Product<'_>, out: &mut [i32]) {
        product.check(Self::WIDTH, out);
        let columns = product.columns();
        let tiled = product.count / TILE * TILE;
        if tiled > 0 {
            // SAFETY: `self` proves that tiles may be used, `check` the bounds.
            unsafe { accumulate(Product { count: tiled, ..product }, out) }
        }
        if tiled < product.count {
            let rows = &product.rows[product.row_start(tiled)..];
            let rest = Product { rows, count: product.count - tiled, ..product };
            self.0.accumulate(rest, &mut out[tiled * columns..]);
        }
    }
}

/// The layout of the eight tile registers: palette 1, each sixteen rows of 64 bytes.
#[repr(C, align(64))]
struct TileConfig {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

static CONFIG: TileConfig = TileConfig {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// # Safety
/// The CPU has AMX and the process may use it, `product.check(16, out)` has passed and `product.count` is a multiple
/// of sixteen.
unsafe fn accumulate(product: Product<'_>, out: &mut [i32]) {
    let Product { rows, row_bytes, count, panels } = product;
    let columns = product.columns();
    let total = columns / 16;
    // SAFETY: all tiles of activations, weights and sums lie inside their slices, by `check`; the tile registers are
    // used nowhere else and given back at the end.
    unsafe {
        asm!("ldtilecfg [{}]", in(reg) &raw const CONFIG, options(nostack, readonly));
        let mut index = 0;
        while index < total {
            let wide = if total - index >= 2 { 2 } else { 1 };
            let w = panels.as_ptr().add(index * row_bytes * 16);
            for row in (0..count).step_by(TILE) {
                let a = rows.as_ptr().add(product.row_start(row));
                let o = out.as_mut_ptr().add(row * columns + index * 16);
                if wide == 2 {
                    two_panels(a, w, row_bytes, o, columns);
                } else {
                    one_panel(a, w, row_bytes, o, columns);
                }
            }
            index += wide;
        }
        asm!("tilerelease", options(nostack, nomem));
    }
}

/// Sixteen rows times two panels.
///
/// # Safety
/// Tiles are configured; a tile of rows of `row_bytes` is readable at `a`, two panels at `w`, and sixteen rows of 32
/// sums are writable at `out` every `columns` sums.
unsafe fn two_panels(a: *const u8, w: *const i8, row_bytes: usize, out: *mut i32, columns: usize) {
    // SAFETY: the loop reads `row_bytes / 64` tiles of each operand, as promised by the caller.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "2:",
            "tileloadd tmm2, [{a} + {line}*1]",
            "tileloadd tmm3, [{w0} + {line}*1]",
            "tileloadd tmm4, [{w1} + {line}*1]",
            "tdpbusd tmm0, tmm2, tmm3",
            "tdpbusd tmm1, tmm2, tmm4",
            "add {a}, 1024",
            "add {w0}, 1024",
            "add {w1}, 1024",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{out} + {pitch}*1], tmm0",
            "tilestored [{out} + {pitch}*1 + 64], tmm1",
            a = inout(reg) a => _,
            w0 = inout(reg) w => _,
            w1 = inout(reg) w.add(row_bytes * 16) => _,
            steps = inout(reg) row_bytes / DEPTH => _,
            line = in(reg) DEPTH,
            out = in(reg) out,
            pitch = in(reg) columns * 4,
            options(nostack),
        );
    }
}

/// Sixteen rows times one panel; as [`two_panels`].
///
/// # Safety
/// As [`two_panels`], with one panel and sixteen columns.
unsafe fn one_panel(a: *const u8, w: *const i8, row_bytes: usize, out: *mut i32, columns: usize) {
    // SAFETY: as in `two_panels`.
    unsafe {
        asm!(
            "tilezero tmm0",
            "2:",
            "tileloadd tmm2, [{a} + {line}*1]",
            "tileloadd tmm3, [{w} + {line}*1]",
            "tdpbusd tmm0, tmm2, tmm3",
            "add {a}, 1024",
            "add {w}, 1024",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{out} + {pitch}*1], tmm0",
            a = inout(reg) a => _,
            w = inout(reg) w => _,
            steps = inout(reg) row_bytes / DEPTH => _,
            line = in(reg) DEPTH,
            out = in(reg) out,
            pitch = in(reg) columns * 4,
            options(nostack),
        );
    }
}
