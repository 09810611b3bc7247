//! What a process writes by CPU while its workload moves: lost without the tracker, not with it; and what becomes of the
//! process.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::driver::{Driver, wait_for};
use crate::place::{BYTES, PAGE, Place, container, track};
use crate::records::ask;
use crate::run::{Pair, cutover, held_precopy};
use crate::writer::{Writer, differing, stands};

/// Two hosts whose memory is a file each, in shared memory.
struct Scene {
    here: Place,
    there: Place,
    source: PathBuf,
    destination: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let (here, there) = (Place::new(), Place::new());
        let file = |place: &Place| {
            let path = Path::new("/dev/shm").join(place.dir.file_name().expect("a name"));
            fs::write(&path, vec![0; BYTES as usize]).expect("write");
            path
        };
        Self { source: file(&here), destination: file(&there), here, there }
    }

    fn connected(&self, trackers: Value) -> Pair {
        let (mut source, mut destination) = (Driver::serve(), Driver::serve());
        set_up(&self.here, &mut source, "source", &self.source);
        set_up(&self.there, &mut destination, "destination", &self.destination);
        Pair::join(source, destination, trackers)
    }

    /// As far as the end of pre-copy, with the writer at work from before its start.
    fn precopied(&self, trackers: Value) -> Pair {
        let mut pair = self.connected(trackers);
        let mut params = held_precopy();
        (params["hold"], params["maxRounds"]) = (json!(null), json!(2));
        pair.source.ok("precopy", params);
        // More writes, of every page it writes, that only a tracker can know of.
        sleep(Duration::from_millis(100));
        pair
    }

    fn lost(&self) -> usize {
        differing(&self.source, &self.destination)
    }

    fn list(&self) -> PathBuf {
        PathBuf::from(self.here.at("records")).join("r1.stopped")
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = (fs::remove_file(&self.source), fs::remove_file(&self.destination));
    }
}

fn set_up(place: &Place, driver: &mut Driver, role: &str, file: &Path) {
    driver.ok("claim", place.claim(role, "r1"));
    driver.ok(
        "memory",
        json!({"pageSize": PAGE, "regions": [{
            "region": "ram", "iova": "0x0", "bytes": BYTES.to_string(), "backing": {"kind": "file", "path": file},
            "populate": true,
        }]}),
    );
    driver.ok("container", container(false));
    driver.ok(
        "device",
        json!({"device": "vgpu", "container": "c", "target": {"kind": "sim", "spec": {
            "model": "mdev", "flags": ["stop-copy", "p2p"], "trackers": ["pinned"], "stateBytes": "65536",
            "precopyBytes": "0", "seed": 7, "window": {"iova": format!("{:#x}", BYTES / 2), "bytes": (BYTES / 2).to_string()},
            "writeBytesPerSecond": "1000000", "pattern": "uniform",
        }}}),
    );
    driver.ok("map", json!({"container": "c"}));
}

fn with_process(freeze: &str) -> Value {
    let mut trackers = track();
    let process = json!({"tracker": "process", "kind": "process", "process": {"method": "auto", "freeze": freeze}});
    trackers["trackers"].as_array_mut().expect("a list").push(process);
    trackers
}

fn unverified() -> Value {
    let mut params = cutover();
    params["verify"] = json!(false);
    params
}

fn of_process(reads: &Value) -> Vec<u64> {
    let rounds =
        reads.as_array().expect("reads").iter().flat_map(|read| read["trackers"].as_array().expect("trackers"));
    rounds.filter(|round| round["tracker"] == "process").map(|round| round["pages"].as_u64().expect("pages")).collect()
}

#[test]
fn without_the_tracker_what_a_cpu_wrote_is_lost() {
    let scene = Scene::new();
    let writer = Writer::start(&scene.source, "protected");
    let mut pair = scene.precopied(track());
    writer.signal(libc::SIGSTOP);
    assert_eq!(pair.source.ok("cutover", unverified())["outcome"], "running");
    assert_eq!(pair.received()["outcome"], "running");
    assert!(scene.lost() > 0, "the checker of these tests sees a lost page");
}

#[test]
fn with_it_nothing_is_lost_and_the_process_stands_from_the_last_read_on() {
    let scene = Scene::new();
    let writer = Writer::start(&scene.source, "protected");
    let mut pair = scene.precopied(with_process("signal"));
    let end = pair.source.ok("cutover", unverified());
    assert_eq!(end["outcome"], "running", "{end}");
    assert_eq!(pair.received()["outcome"], "running");
    assert!(of_process(&end["reads"]).iter().any(|pages| *pages > 0), "{end}");
    assert!(writer.stands(), "the workload is elsewhere");
    assert_eq!(scene.lost(), 0);
    pair.source.ok("untrack", json!({}));
    pair.source.ok("release", json!({}));
    pair.source.hang_up();
    pair.source.end_status();
    assert!(writer.stands(), "and nobody wakes it");
    assert_eq!(scene.lost(), 0);
}

#[test]
fn a_process_that_ends_or_comes_in_mid_run_is_counted_whole() {
    let scene = Scene::new();
    let first = Writer::start(&scene.source, "protected");
    let mut pair = scene.precopied(with_process("auto"));
    drop(first);
    let _second = Writer::start(&scene.source, "protected");
    assert_eq!(pair.source.ok("cutover", unverified())["outcome"], "running");
    assert_eq!(pair.received()["outcome"], "running");
    assert_eq!(scene.lost(), 0);
}

#[test]
fn a_process_runs_again_when_the_source_is_undone() {
    let scene = Scene::new();
    let writer = Writer::start(&scene.source, "protected");
    let mut pair = scene.precopied(with_process("auto"));
    let mut params = unverified();
    params["pauses"] = json!(["pre-resume"]);
    let asked = pair.source.send("cutover", params);
    pair.source.event("paused");
    assert!(writer.stands() && scene.list().exists());
    pair.source.ok("cancel", json!({}));
    let end = pair.source.reply(asked).expect("an end");
    assert_eq!(end["outcome"], "rolled-back", "{end}");
    wait_for("it runs", || (!writer.stands()).then_some(()));
    let before = fs::read(&scene.source).expect("read");
    wait_for("it writes", || (fs::read(&scene.source).expect("read") != before).then_some(()));
    assert!(!scene.list().exists());
}

#[test]
fn one_that_stood_before_is_not_woken() {
    let scene = Scene::new();
    let writer = Writer::start(&scene.source, "protected");
    writer.signal(libc::SIGSTOP);
    let mut pair = scene.precopied(with_process("auto"));
    let mut params = unverified();
    params["pauses"] = json!(["pre-resume"]);
    let asked = pair.source.send("cutover", params);
    pair.source.event("paused");
    pair.source.ok("cancel", json!({}));
    assert_eq!(pair.source.reply(asked).expect("an end")["outcome"], "rolled-back");
    sleep(Duration::from_millis(20));
    assert!(writer.stands());
}

#[test]
fn one_that_is_woken_in_the_blackout_undoes_the_run() {
    let scene = Scene::new();
    let writer = Writer::start(&scene.source, "protected");
    let mut pair = scene.precopied(with_process("auto"));
    let mut params = unverified();
    params["pauses"] = json!(["pre-resume"]);
    let asked = pair.source.send("cutover", params);
    pair.source.event("paused");
    writer.signal(libc::SIGCONT);
    wait_for("it runs", || (!writer.stands()).then_some(()));
    pair.source.ok("continue", json!({"at": "pre-resume"}));
    let end = pair.source.reply(asked).expect("an end");
    assert_eq!((&end["outcome"], &end["cause"]["code"]), (&json!("rolled-back"), &json!("tracker/process-running")));
}

#[test]
fn a_helper_killed_in_the_blackout_leaves_a_list_by_which_another_wakes_the_process() {
    let scene = Scene::new();
    let writer = Writer::start(&scene.source, "protected");
    let mut pair = scene.precopied(with_process("auto"));
    pair.lose_the_source();
    assert!(writer.stands(), "it may not run before the run is known to be dropped");
    assert_eq!(ask(&scene.here, "source", false), Ok(json!("prepared")));
    assert!(writer.stands(), "to look changes nothing");
    assert_eq!(ask(&scene.here, "source", true), Ok(json!("discarded")));
    wait_for("it runs", || (!writer.stands()).then_some(()));
    assert!(!scene.list().exists());
    assert_eq!(ask(&scene.here, "source", true), Ok(json!("discarded")), "again");
}

/// Where the kernel has soft-dirty bits (the lab's has), nothing is asked of the process; elsewhere the run does not
/// begin.
#[test]
fn a_process_without_a_userfaultfd_is_tracked_by_soft_dirty_bits_or_refused() {
    let scene = Scene::new();
    let writer = Writer::start(&scene.source, "bare");
    if !has_soft_dirty() {
        let mut source = Driver::serve();
        set_up(&scene.here, &mut source, "source", &scene.source);
        let error = source.ask("track", with_process("auto")).expect_err("cannot be tracked");
        assert_eq!(error["code"], "tracker/process-unsupported");
        assert!(error["message"].as_str().is_some_and(|text| text.contains(&writer.pid().to_string())), "{error}");
        assert!(!writer.stands());
        return;
    }
    let mut pair = scene.precopied(with_process("auto"));
    assert!(!writer.stands(), "it stands for a read, and runs again");
    let end = pair.source.ok("cutover", unverified());
    assert_eq!(end["outcome"], "running", "{end}");
    assert_eq!(pair.received()["outcome"], "running");
    assert!(writer.stands());
    assert_eq!(scene.lost(), 0);
}

/// A child has the mapping and not its parent's userfaultfd: soft-dirty bits tell what it writes, or the run is undone.
#[test]
fn a_child_of_a_tracked_process_is_tracked_or_undoes_the_run() {
    let scene = Scene::new();
    let writer = Writer::start(&scene.source, "forks");
    let mut pair = scene.connected(with_process("signal"));
    let child = writer.child();
    let mut params = held_precopy();
    (params["hold"], params["maxRounds"]) = (json!(null), json!(2));
    if !has_soft_dirty() {
        let error = pair.source.ask("precopy", params).expect_err("the child is not tracked");
        assert_eq!(error["code"], "tracker/process-unsupported");
        assert!(error["message"].as_str().is_some_and(|text| text.contains(&child.to_string())), "{error}");
        pair.source.ok("rollback", json!({}));
        assert!(!writer.stands() && !stands(child));
        return;
    }
    pair.source.ok("precopy", params);
    sleep(Duration::from_millis(100));
    assert_eq!(pair.source.ok("cutover", unverified())["outcome"], "running");
    assert_eq!(pair.received()["outcome"], "running");
    assert!(writer.stands() && stands(child));
    assert_eq!(scene.lost(), 0);
}

fn has_soft_dirty() -> bool {
    let page = [1u8; 2 * PAGE as usize];
    let at = (page.as_ptr() as u64).next_multiple_of(PAGE);
    let mut entry = [0; 8];
    let pagemap = fs::File::open("/proc/self/pagemap").expect("pagemap");
    std::os::unix::fs::FileExt::read_exact_at(&pagemap, &mut entry, at / PAGE * 8).expect("read");
    u64::from_ne_bytes(entry) >> 55 & 1 == 1
}

/// A cgroup (v2) that holds the writer alone.
struct Cgroup(PathBuf);

impl Cgroup {
    /// `None` where none can be made: no root, or no cgroup v2.
    fn of(writer: &Writer) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
        let line = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
        let folder = Path::new(line.split(' ').nth(4)?).join(format!("ferry-test-{}", writer.pid()));
        fs::create_dir(&folder).ok()?;
        let made = Self(folder);
        fs::write(made.0.join("cgroup.procs"), writer.pid().to_string()).ok()?;
        Some(made)
    }

    fn is_frozen(&self) -> bool {
        fs::read_to_string(self.0.join("cgroup.events")).expect("events").contains("frozen 1")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn a_process_in_a_cgroup_of_its_own_is_frozen_and_thawed_without_a_signal() {
    let scene = Scene::new();
    let writer = Writer::start(&scene.source, "protected");
    let Some(cgroup) = Cgroup::of(&writer) else {
        let mut pair = scene.precopied(with_process("cgroup"));
        let end = pair.source.ok("cutover", unverified());
        assert_eq!(end["cause"]["code"], "tracker/process-running", "no cgroup of its own: {end}");
        return;
    };
    let mut pair = scene.precopied(with_process("auto"));
    let mut params = unverified();
    params["pauses"] = json!(["pre-resume"]);
    let asked = pair.source.send("cutover", params);
    pair.source.event("paused");
    assert!(cgroup.is_frozen() && !writer.stands(), "frozen, and not by a signal");
    pair.source.ok("cancel", json!({}));
    assert_eq!(pair.source.reply(asked).expect("an end")["outcome"], "rolled-back");
    wait_for("it thaws", || (!cgroup.is_frozen()).then_some(()));
    drop(pair);

    let again = Scene::new();
    // Its memory is the other scene's: this run finds no process, and is none of its business.
    let mut pair = again.precopied(with_process("auto"));
    assert_eq!(pair.source.ok("cutover", unverified())["outcome"], "running");
    assert!(!cgroup.is_frozen());
}

#[test]
fn one_that_shares_its_cgroup_with_others_is_stopped_alone() {
    let scene = Scene::new();
    let writer = Writer::start(&scene.source, "protected");
    let other = Scene::new();
    let bystander = Writer::start(&other.source, "protected");
    let cgroup = Cgroup::of(&writer);
    if let Some(cgroup) = &cgroup {
        fs::write(cgroup.0.join("cgroup.procs"), bystander.pid().to_string()).expect("joins");
    }
    let mut pair = scene.precopied(with_process("auto"));
    assert_eq!(pair.source.ok("cutover", unverified())["outcome"], "running");
    assert!(writer.stands() && !bystander.stands());
    assert!(cgroup.is_none_or(|cgroup| !cgroup.is_frozen()));
}
