//! The backend of a container, by what was opened.

use std::ops::{Deref, DerefMut};

use crate::error::Result;
use crate::iommu::iommufd::IommufdBackend;
use crate::iommu::type1::Type1Backend;
use crate::iommu::{Backend, BackendKind};
use crate::message::ContainerParams;
#[cfg(feature = "sim")]
use crate::sim::iommu::SimBackend;

pub(super) enum Opened {
    Kernel(Box<dyn Backend>),
    /// The only kind that can open a simulated device.
    #[cfg(feature = "sim")]
    Sim(SimBackend),
}

impl Opened {
    pub(super) fn open(asked: &ContainerParams) -> Result<Self> {
        Ok(match asked.backend {
            BackendKind::Type1 => Self::Kernel(Box::new(Type1Backend::open()?.allow_mixed(asked.mixed))),
            BackendKind::Iommufd => {
                Self::Kernel(Box::new(IommufdBackend::with_entries(asked.dirty_tracking, asked.huge_pages)?))
            }
            #[cfg(not(feature = "sim"))]
            BackendKind::Sim => return Err(crate::message::not_built()),
            #[cfg(feature = "sim")]
            BackendKind::Sim => Self::Sim(SimBackend::new(asked.dirty_tracking)),
        })
    }
}

impl Deref for Opened {
    type Target = dyn Backend;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Kernel(backend) => backend.as_ref(),
            #[cfg(feature = "sim")]
            Self::Sim(backend) => backend,
        }
    }
}

impl DerefMut for Opened {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match self {
            Self::Kernel(backend) => backend.as_mut(),
            #[cfg(feature = "sim")]
            Self::Sim(backend) => backend,
        }
    }
}
