//! The kernel's descriptors behind a workload, by the names others know them by. Simulated devices have none.

use std::os::fd::{BorrowedFd, OwnedFd};

use serde::Serialize;

use super::{Session, out_of_order};
use crate::error::{HelperError, Result};
use crate::iommu::Handle;
use crate::message::num::{Bytes, Iova};

/// What a descriptor is, for the receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Facts {
    Device { device: String, container: String },
    Iommufd { container: String, ioas: u32 },
    Container { container: String },
    Group { container: String, group: u32 },
    Memory { region: String, iova: Iova, bytes: Bytes },
}

/// A duplicate of our own; closed with it, and not inherited (O_CLOEXEC).
#[derive(Debug, Serialize)]
pub struct Descriptor {
    pub name: String,
    #[serde(flatten)]
    pub facts: Facts,
    #[serde(skip)]
    pub fd: OwnedFd,
}

impl Descriptor {
    fn of(facts: Facts, fd: BorrowedFd<'_>) -> Result<Self> {
        let name = match &facts {
            Facts::Device { device, .. } => format!("device-{device}"),
            Facts::Iommufd { container, .. } => format!("iommufd-{container}"),
            Facts::Container { container } => format!("container-{container}"),
            Facts::Group { group, .. } => format!("group-{group}"),
            Facts::Memory { region, .. } => format!("memory-{region}"),
        };
        let duplicate = fd.try_clone_to_owned().map_err(|error| {
            HelperError::os("descriptor/dup", format!("dup of {name}"), &error, "raise the limit of open files")
        })?;
        Ok(Self { name, facts, fd: duplicate })
    }
}

impl Session {
    /// Duplicates of every descriptor: devices, then containers with their groups, then memory.
    ///
    /// # Errors
    /// `descriptor/dup`; `request/out-of-order` without memory.
    pub fn descriptors(&mut self) -> Result<Vec<Descriptor>> {
        let memory = self.memory()?;
        // Whoever gets them may write.
        memory.forget_content();
        let mut found = Vec::new();
        for (device, attached) in self.devices.iter_mut().zip(&self.attached) {
            let name = device.name().to_owned();
            if let Some(fd) = device.device().descriptor() {
                found.push(Descriptor::of(Facts::Device { device: name, container: attached.container.clone() }, fd)?);
            }
        }
        for held in &self.containers {
            for (handle, fd) in held.backend.descriptors() {
                let container = held.name.clone();
                let facts = match handle {
                    Handle::Iommufd { ioas } => Facts::Iommufd { container, ioas },
                    Handle::Container => Facts::Container { container },
                    Handle::Group(group) => Facts::Group { container, group },
                };
                found.push(Descriptor::of(facts, fd)?);
            }
        }
        for region in memory.regions() {
            let fd = region.descriptor().ok_or_else(|| out_of_order("memory"))?;
            let (area, name) = (region.area(), region.name().to_owned());
            let facts = Facts::Memory { region: name, iova: Iova(area.iova), bytes: Bytes(area.bytes) };
            found.push(Descriptor::of(facts, fd)?);
        }
        Ok(found)
    }

    /// Forgets what is attached and mapped, so that giving our descriptors back takes nothing away from those who have
    /// duplicates of them.
    pub(super) fn hand_over(&mut self) {
        for container in &mut self.containers {
            container.backend.hand_over();
        }
    }
}
