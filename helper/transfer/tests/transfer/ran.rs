//! What a transfer of the rig came to.

use std::sync::{Arc, Mutex};

use ferry_base::error::Result;
use ferry_base::message::{CutoverReply, PrecopyReply, ReceiveReply, RollbackParams, RollbackReply};
use ferry_transfer::destination::Destination;
use ferry_transfer::source::Source;
use ferry_vfio::device::DeviceState;
use ferry_vfio::device::transitions::Stepper;
use ferry_vfio::memory::Memory;

use crate::fake::{Events, FakeRecord, History, Seen};
use crate::network::Network;
use crate::rig::content;

/// How it ended, with everything still there to look at and to roll back.
pub struct Ran {
    pub precopy: Option<Result<PrecopyReply>>,
    pub cutover: Option<CutoverReply>,
    pub receive: Result<ReceiveReply>,
    pub here: Arc<Memory>,
    pub there: Arc<Memory>,
    pub source: Option<Source>,
    pub destination: Option<Destination>,
    pub devices: Vec<Stepper>,
    pub peers: Vec<Stepper>,
    pub source_seen: Vec<Arc<Mutex<Seen>>>,
    pub destination_seen: Vec<Arc<Mutex<Seen>>>,
    pub source_record: FakeRecord,
    pub destination_record: FakeRecord,
    pub history: [History; 2],
    pub events: [Arc<Events>; 2],
    pub frames: [u64; 2],
    /// The state each of the source's devices had to give.
    pub contents: Vec<Vec<u8>>,
    /// Bytes to the destination on each connection that went through a network.
    pub carried: Vec<u64>,
    /// There as long as what uses it.
    pub _network: Option<Network>,
}

impl Ran {
    /// Code of whatever kept the run from moving.
    pub fn cause(&self) -> &'static str {
        match (&self.precopy, &self.cutover) {
            (Some(Err(error)), _) => error.code,
            (_, Some(reply)) => reply.cause.as_ref().map_or("none", |cause| cause.code),
            _ => "none",
        }
    }

    pub fn source_states(&self) -> Vec<DeviceState> {
        self.source_seen.iter().map(|seen| seen.lock().unwrap().state).collect()
    }

    pub fn destination_states(&self) -> Vec<DeviceState> {
        self.destination_seen.iter().map(|seen| seen.lock().unwrap().state).collect()
    }

    pub fn destination_ever_ran(&self) -> bool {
        self.destination_seen.iter().any(|seen| seen.lock().unwrap().ever_ran())
    }

    /// The source is whole and the destination never ran the workload.
    pub fn assert_undone(&self, what: &str) {
        assert!(
            self.source_states().iter().all(|state| *state == DeviceState::Running),
            "{what}: {:?}",
            self.source_states()
        );
        assert!(!self.destination_ever_ran(), "{what}: the destination ran");
        assert!(!self.source_record.committed && !self.destination_record.committed, "{what}: a COMMIT stands");
    }

    pub fn assert_moved(&self) {
        let reply = self.cutover.as_ref().expect("cut over");
        assert!(reply.cause.is_none(), "{:?}", reply.cause);
        assert!(content(&self.here) == content(&self.there), "memories differ");
        assert!(self.source_states().iter().all(|state| *state == DeviceState::StopCopy));
        assert!(self.destination_states().iter().all(|state| *state == DeviceState::Running));
        assert!(self.source_record.committed && self.destination_record.committed);
    }

    pub fn roll_back_source(&mut self, peer_discarded: bool) -> Result<RollbackReply> {
        let source = self.source.as_mut().expect("connected");
        source.rollback(&mut self.devices, &RollbackParams { peer_discarded }, &mut self.source_record)
    }

    pub fn finish_destination(&mut self) -> Result<ReceiveReply> {
        let destination = self.destination.as_mut().expect("accepted");
        destination.finish(&mut self.peers, &mut self.destination_record)
    }

    pub fn roll_back_destination(&mut self) -> Result<RollbackReply> {
        let destination = self.destination.as_mut().expect("accepted");
        destination.rollback(&mut self.peers, &mut self.destination_record)
    }
}
