//! The arithmetic of the native engine: one kernel per instruction set, chosen at run time.
//!
//! Integer products are exact in every kernel, floating-point loops are written once over eight lanes with the same
//! order of operations everywhere, so all kernels give the same bits. The folder is the only place with `unsafe`
//! code; its doors are types that can only be had on a CPU that has the instructions.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use crate::error::{Error, ErrorKind, Result};

mod activations;
#[expect(unsafe_code, reason = "bytes of a cache line are seen as one slice")]
mod aligned;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[expect(unsafe_code, reason = "tile instructions have no stable intrinsics")]
mod amx;
mod attention;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "vector instructions")]
#[allow(clippy::wildcard_imports, reason = "dozens of intrinsics")]
mod avx2;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "vector instructions")]
#[allow(clippy::wildcard_imports, reason = "as in `avx2`")]
mod avx512_vnni;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "vector instructions")]
#[allow(clippy::wildcard_imports, reason = "as in `avx2`")]
mod avx_vnni;
mod isa;
#[expect(clippy::inline_always, reason = "a loop must be compiled inside the function that turns its features on")]
mod lanes;
mod machine;
#[cfg(target_arch = "aarch64")]
#[expect(unsafe_code, reason = "vector instructions")]
#[expect(clippy::inline_always, reason = "as in `lanes`")]
#[allow(clippy::wildcard_imports, reason = "as in `avx2`")]
mod neon;
mod normalize;
mod product;
mod scalar;
mod trial;
mod vocabulary;

pub(super) use activations::{Activations, DEPTH};
pub(super) use aligned::AlignedBytes;
pub(super) use attention::{Attend, PAGE, PagedKeys, write_position};
pub(super) use machine::Machine;
pub(super) use normalize::{LayerNorm, Residual};
pub(super) use product::Activation;
pub(super) use vocabulary::Ranking;

/// An instruction set the native engine has a kernel for.
///
/// ```
/// use tarjim::native::Kernel;
///
/// let best = Kernel::detect();
/// assert!(Kernel::available().contains(&best));
/// assert_eq!(best.to_string().parse::<Kernel>().unwrap(), best);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// Plain Rust, on every CPU.
    Scalar,
    /// NEON with 8-bit dot products.
    Neon,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-VNNI: 8-bit dot products in 256-bit registers.
    AvxVnni,
    /// AVX-512 VNNI: 8-bit dot products in 512-bit registers.
    Avx512Vnni,
    /// AMX: 8-bit matrix tiles.
    Amx,
}

/// All kernels, the fastest last.
const ALL: [Kernel; 6] = [Kernel::Scalar, Kernel::Neon, Kernel::Avx2, Kernel::AvxVnni, Kernel::Avx512Vnni, Kernel::Amx];

impl Kernel {
    /// The fastest kernel that this machine can run and that computes what the scalar one does.
    pub fn detect() -> Self {
        static FASTEST: OnceLock<Kernel> = OnceLock::new();
        *FASTEST.get_or_init(|| {
            let fit = |kernel: &Kernel| {
                let Some(machine) = kernel.machine() else { return false };
                let passes = trial::passes(machine.as_ref());
                if !passes {
                    tracing::warn!("kernel `{kernel}` computes wrong products on this machine and is not used");
                }
                passes
            };
            ALL.into_iter().rev().find(fit).unwrap_or(Kernel::Scalar)
        })
    }

    /// All kernels this machine can run, the fastest last.
    pub fn available() -> Vec<Self> {
        ALL.into_iter().filter(|kernel| kernel.machine().is_some()).collect()
    }

    /// The name `--kernel` takes.
    pub fn name(self) -> &'static str {
        match self {
            Kernel::Scalar => "scalar",
            Kernel::Neon => "neon",
            Kernel::Avx2 => "avx2",
            Kernel::AvxVnni => "avx-vnni",
            Kernel::Avx512Vnni => "avx512-vnni",
            Kernel::Amx => "amx",
        }
    }

    /// The kernel itself, where this machine can run it.
    pub(super) fn machine(self) -> Option<Box<dyn Machine>> {
        #[cfg(target_arch = "x86_64")]
        match self {
            Kernel::Avx2 => return machine::on(avx2::Avx2::new()),
            Kernel::AvxVnni => return machine::on(avx_vnni::AvxVnni::new()),
            Kernel::Avx512Vnni => return machine::on(avx512_vnni::Avx512Vnni::new()),
            #[cfg(target_os = "linux")]
            Kernel::Amx => return machine::on(amx::Amx::new()),
            _ => {}
        }
        #[cfg(target_arch = "aarch64")]
        if self == Kernel::Neon {
            return machine::on(neon::Neon::new());
        }
        (self == Kernel::Scalar).then(|| machine::on(Some(scalar::Scalar)))?
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kernel {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        ALL.into_iter().find(|kernel| kernel.name() == name).ok_or_else(|| {
            let known: Vec<&str> = ALL.iter().map(|kernel| kernel.name()).collect();
            Error::new(ErrorKind::Usage, format!("there is no kernel `{name}`: {}", known.join(", ")))
        })
    }
}
