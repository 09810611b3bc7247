//! What each thread of a real helper may do, read from /proc while it works.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use crate::driver::{Driver, wait_for};
use crate::place::{Place, set_up_requests};
use crate::run::{Pair, cutover, held_precopy};

const CHOWN: u64 = 1;
const DAC_OVERRIDE: u64 = 1 << 1;
const DAC_READ_SEARCH: u64 = 1 << 2;
const NET_BIND_SERVICE: u64 = 1 << 10;
const IPC_LOCK: u64 = 1 << 14;
const SYS_PTRACE: u64 = 1 << 19;

#[derive(Debug)]
struct Thread {
    name: String,
    capabilities: u64,
    filters: u64,
}

fn threads(driver: &Driver) -> BTreeMap<u32, Thread> {
    let folder = format!("/proc/{}/task", driver.pid());
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("alive").flatten() {
        // It may end meanwhile.
        let Ok(status) = fs::read_to_string(entry.path().join("status")) else { continue };
        let field = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .map(|value| value.trim().to_owned())
                .expect("a field")
        };
        let capabilities = ["CapPrm:", "CapEff:", "CapInh:"]
            .map(|name| u64::from_str_radix(&field(name), 16).expect("hex"))
            .into_iter()
            .fold(0, |all, set| all | set);
        let filters = field("Seccomp_filters:").parse().expect("a number");
        let thread = Thread { name: field("Name:"), capabilities, filters };
        found.insert(entry.file_name().to_str().expect("digits").parse().expect("a thread"), thread);
    }
    found
}

/// Those that hear the peer, once there is one that carries the run out: no capability, and more filters than the rest.
fn hears_nothing_with_capabilities(driver: &Driver, least: usize) {
    let hearing: Vec<Thread> = wait_for("a thread of the run", || {
        let found: Vec<Thread> = threads(driver)
            .into_values()
            .filter(|thread| thread.name == "run" || thread.name.starts_with("stream-"))
            .filter(|thread| thread.filters >= 3)
            .collect();
        (found.len() >= least).then_some(found)
    });
    assert!(hearing.iter().all(|thread| thread.capabilities == 0), "{hearing:?}");
}

#[test]
fn no_thread_that_hears_a_peer_has_a_capability() {
    let (here, there) = (Place::new(), Place::new());
    let mut source = Driver::serve();
    here.set_up(&mut source, "source");
    let rest = threads(&source);
    // The launcher alone may start a program.
    assert!(rest.values().all(|thread| (thread.filters == 0) == (thread.name == "launcher")), "{rest:?}");
    // Those that hear ferry, and the one at the helper's socket, have none. Each drops them itself, once it runs.
    let privileged = ["launcher", "rights", "worker"];
    let simulated = |thread: &Thread| thread.name.starts_with("sim-");
    let may = |thread: &Thread| simulated(thread) || privileged.contains(&thread.name.as_str());
    wait_for("the others have none", || {
        threads(&source).values().all(|thread| thread.capabilities == 0 || may(thread)).then_some(())
    });
    let mut pair = Pair::meet(source, &there);
    hears_nothing_with_capabilities(&pair.destination, 1);
    let trackers: Vec<_> = threads(&pair.source).into_values().filter(|thread| thread.name == "tracker").collect();
    assert!(trackers.len() == 1 && trackers[0].capabilities == 0 && trackers[0].filters >= 3, "{trackers:?}");
    let held = pair.source.send("precopy", held_precopy());
    pair.source.event("round-end");
    hears_nothing_with_capabilities(&pair.source, 1);
    hears_nothing_with_capabilities(&pair.destination, 1);
    pair.source.ok("proceed", json!({}));
    pair.source.reply(held).expect("pre-copy ends");
    let mut params = cutover();
    params["pauses"] = json!(["pre-resume"]);
    let end = pair.source.send("cutover", params);
    pair.source.event("paused");
    hears_nothing_with_capabilities(&pair.source, 1);
    hears_nothing_with_capabilities(&pair.destination, 1);
    pair.source.ok("continue", json!({"at": "pre-resume"}));
    assert_eq!(pair.source.reply(end).expect("a word")["outcome"], "running");
    // A source that holds no workload needs none of these any more, and starts nothing.
    let left = CHOWN | DAC_OVERRIDE | SYS_PTRACE;
    let idle = |thread: &Thread| ["launcher", "rights"].contains(&thread.name.as_str());
    let kept = |thread: &Thread| thread.capabilities & left != 0 && !simulated(thread);
    wait_for("nothing is kept", || {
        threads(&pair.source).values().all(|thread| !idle(thread) && !kept(thread)).then_some(())
    });
}

#[test]
fn a_destination_keeps_what_its_end_needs() {
    let rights = |then: Option<&str>| {
        let place = Place::new();
        let mut destination = Driver::serve();
        let run = destination.run.clone();
        let mut claim = place.claim("destination", &run);
        if let Some(then) = then {
            claim["then"] = json!(then);
        }
        destination.ok("claim", claim);
        destination.ok("memory", set_up_requests()[0].1.clone());
        // Nobody listens, and so it hears no one.
        destination.refused("receive", json!({}));
        // Threads that have nothing left to do end on their own.
        let ending = match then {
            Some("close") => &["rights", "launcher"][..],
            Some("exec") => &["rights"],
            _ => &[],
        };
        let found = wait_for("they end", || {
            let found = threads(&destination);
            found.values().all(|thread| !ending.contains(&thread.name.as_str())).then_some(found)
        });
        let of = |name: &str| found.values().find(|thread| thread.name == name).map(|thread| thread.capabilities);
        (of("worker").expect("the worker"), of("rights").is_some(), of("launcher").is_some())
    };
    let mut other = Driver::serve();
    other.ok("ping", json!({}));
    let before = threads(&other).values().fold(0, |all, thread| all | thread.capabilities);
    let held = |kept: u64| before & kept;
    assert_eq!(rights(Some("close")), (held(IPC_LOCK), false, false));
    assert_eq!(rights(Some("exec")), (held(IPC_LOCK | DAC_READ_SEARCH), false, true));
    for then in [Some("hold"), None] {
        assert_eq!(rights(then), (held(!NET_BIND_SERVICE), true, true));
    }
}

#[test]
fn a_holder_gives_nothing_away_again_and_starts_nothing() {
    let place = Place::new();
    let mut holder = Driver::serve();
    place.set_up(&mut holder, "source");
    holder.ok("stay", place.stay(Value::Null));
    let kept = |thread: &Thread| thread.capabilities & CHOWN != 0 && !thread.name.starts_with("sim-");
    wait_for("the launcher ends, and none may give away", || {
        threads(&holder).values().all(|thread| thread.name != "launcher" && !kept(thread)).then_some(())
    });
}

/// Asked in the first line, after which the thread that the kernel shows for the process has no capability.
#[test]
fn what_it_says_of_locked_memory_holds_for_those_that_map_it() {
    let mut helper = Driver::serve();
    let hello = helper.ok("hello", json!({"protocol": ferry_helper::message::PROTOCOL_VERSION}));
    let bypasses = threads(&helper).values().any(|thread| thread.capabilities & IPC_LOCK != 0);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock).current;
    let says = hello["memlockBytes"].as_str().map(|bytes| bytes.parse::<u64>().expect("a number"));
    assert_eq!(says, if bypasses { None } else { limit });
}

/// `ferry doctor` shows it.
#[test]
fn what_it_says_of_its_confinement_is_so() {
    let mut helper = Driver::serve();
    let hello = helper.ok("hello", json!({"protocol": ferry_helper::message::PROTOCOL_VERSION}));
    let said = &hello["confinement"];
    let names = said["capabilities"].as_array().expect("a list").len();
    let found = threads(&helper);
    let held = found.values().map(|thread| thread.capabilities).fold(0, |all, held| all | held);
    assert_eq!(names, held.count_ones() as usize, "{said}");
    assert_eq!(said["seccomp"], json!(found.values().any(|thread| thread.filters > 0)));
    // LANDLOCK_CREATE_RULESET_VERSION
    // SAFETY: with this flag the call takes no structure, and only answers.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0, 0, 1) };
    assert_eq!(said["landlock"], json!(version.max(0)));
}
