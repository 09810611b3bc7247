//! The save or resume session a simulated device is in. The file belongs to the caller that asked for it; the session belongs
//! to the device, and when it leaves the session the file is left behind, disabled.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::load::{Load, LoadStream};
use super::pace::Pace;
use super::save::{Save, SaveStream};
use super::sync::lock;
use super::wire::{FinalBlock, Header};
use super::{DeviceState, SimDevice};
use crate::error::Result;
use crate::message::SimFault;
use crate::stamps::mix::mix;
use ferry_vfio::device::StateStream;

pub(super) enum Session {
    None,
    Save(Arc<Mutex<Save>>),
    Load(Arc<Mutex<Load>>),
}

impl Session {
    /// Leaves the session, if any; assigning over it drops it, which disables the file.
    pub(super) fn end(&mut self) {
        *self = Self::None;
    }

    /// Bytes a save session has still to give.
    pub(super) fn remaining(&self) -> Option<u64> {
        match self {
            Self::Save(save) => Some(lock(save).remaining()),
            _ => None,
        }
    }
}

/// The error code of a call on a session's file.
pub(super) fn stream_code(operation: &str) -> &'static str {
    match operation {
        "read" => "device/stream-read",
        "write" => "device/stream-write",
        _ => "device/precopy-info",
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        match self {
            Self::None => {}
            Self::Save(save) => lock(save).disable(),
            Self::Load(load) => lock(load).disable(),
        }
    }
}

impl SimDevice {
    pub(super) fn begin_save(&mut self) -> Box<dyn StateStream> {
        self.saves += 1;
        let header = Header {
            model: self.spec.model,
            total: self.spec.state_bytes.0,
            precopy: self.spec.precopy_bytes.0,
            filler_seed: mix(self.spec.seed ^ mix(self.saves)),
            program: self.progress().map(|(program, _)| program),
        };
        let save =
            Arc::new(Mutex::new(Save::new(&header, self.engine.shared().position(), self.faults.first_offset())));
        self.session = Session::Save(Arc::clone(&save));
        Box::new(SaveStream {
            device: self.name.clone(),
            session: save,
            shared: Arc::clone(self.engine.shared()),
            faults: Arc::clone(&self.faults),
            pace: self.state_pace(),
        })
    }

    /// Takes the snapshot. The engine has stopped before.
    pub(super) fn seal_save(&mut self) {
        if let Session::Save(save) = &self.session {
            let position = self.engine.shared().position();
            lock(save).enter_stop_copy(&FinalBlock { position, registers: self.registers });
        }
    }

    pub(super) fn begin_load(&mut self) -> Box<dyn StateStream> {
        let refuses = self.faults.has(&SimFault::RefusedWrite);
        let load = Arc::new(Mutex::new(Load::new(self.spec.model, self.spec.state_bytes.0, refuses)));
        self.session = Session::Load(Arc::clone(&load));
        Box::new(LoadStream {
            device: self.name.clone(),
            session: load,
            faults: Arc::clone(&self.faults),
            pace: self.state_pace(),
        })
    }

    /// RESUMING to STOP: the device becomes what the stream says, or stays as it is, in RESUMING.
    pub(super) fn finish_load(&mut self) -> Result<()> {
        let loaded = match &self.session {
            Session::Load(load) => lock(load).finish(),
            _ => None,
        };
        let Some(loaded) = loaded else {
            let meaning = "the state stream is short, damaged or of another device";
            return Err(self.set_failed(DeviceState::Stop, libc::EINVAL, meaning));
        };
        self.session.end();
        self.registers = loaded.registers;
        self.engine.program(loaded.program);
        Ok(())
    }

    fn state_pace(&self) -> Option<Pace> {
        self.spec.state_bytes_per_second.map(|rate| Pace::new(Instant::now(), rate.0, 1))
    }
}
