//! What outlives this process, on disk: records of COMMIT and DISCARD, claims on devices, the folders both are in.

pub mod claim;
pub mod left_record;
pub mod private_dir;
pub mod record;
