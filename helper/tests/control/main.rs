//! The helper as a process: who may drive it, when it ends, and what it keeps.

mod confined;
mod cut;
mod driver;
mod exec;
mod hand_out;
mod holder;
mod huge;
mod owner;
mod place;
mod process;
mod reader;
mod records;
mod run;
mod taker;
mod track;
mod writer;
