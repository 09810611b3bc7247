//! The workload's command, started with the descriptors.

use std::fs;

use serde_json::json;

use crate::driver::wait_for;
use crate::place::{BYTES, Place};
use crate::records::ask;
use crate::run::Pair;

#[test]
fn the_command_sees_its_descriptors_by_name_and_the_helper_stays_with_it() {
    let (here, there) = (Place::new(), Place::new());
    let mut pair = Pair::moved(&here, &there);
    let script = r#"
        exec >"$0/seen.new" 2>&1
        echo "$$ $LISTEN_PID $LISTEN_FDS $LISTEN_FDNAMES"
        stat -L -c '%s %b' /proc/self/fd/3
        # No pipe: the shell itself would have its ends for a moment.
        readlink /proc/$$/fd/* >"$0/fds"
        tr '\n' ';' <"$0/fds"
        echo
        grep -E 'SigBlk|SigIgn|Seccomp_filters' /proc/self/status | tr -s '\n\t' '  '
        echo
        umask
        mv "$0/seen.new" "$0/seen"
        while [ ! -e "$0/stop" ]; do sleep 0.02; done
    "#;
    let refused = pair.destination.ask("exec", json!({"command": ["/nowhere/vmm"]})).expect_err("no program");
    assert_eq!((&refused["code"], &refused["errnoName"]), (&json!("exec/failed"), &json!("ENOENT")));
    assert!(refused["message"].as_str().is_some_and(|text| text.contains("/nowhere/vmm")), "{refused}");
    let refused = pair.destination.ask("exec", json!({"command": ["/"]})).expect_err("a folder");
    assert_eq!((&refused["code"], &refused["errnoName"]), (&json!("exec/failed"), &json!("EACCES")));
    assert_eq!(pair.source.refused("exec", json!({"command": ["true"]})), "request/out-of-order");

    let dir = there.at("");
    let reply = pair.destination.ok("exec", json!({"command": ["sh", "-c", script, dir]}));
    assert_eq!(reply["names"], json!(["memory-ram"]));
    let seen = there.dir.join("seen");
    wait_for("the command ran", || seen.exists().then_some(()));
    let seen = fs::read_to_string(seen).expect("seen");
    let lines: Vec<&str> = seen.lines().collect();
    let pid = &reply["pid"];
    assert_eq!(lines[0], format!("{pid} {pid} 1 memory-ram"));
    let (size, blocks) = lines[1].split_once(' ').expect("two");
    assert_eq!(size, BYTES.to_string());
    assert_ne!(blocks, "0", "the memory itself");
    // /dev/null also where the shell kept what it redirected.
    let own = |to: &str| ["", "/dev/null"].contains(&to) || to.ends_with("/seen.new") || to.ends_with("/fds");
    let others = lines[2].split(';').filter(|to| !own(to));
    assert_eq!(others.collect::<Vec<_>>(), ["/memfd:ferry-ram (deleted)"], "nothing else is inherited");
    // Signals 32 and 33 are the C library's own.
    let masks: Vec<u64> = lines[3].split(' ').filter_map(|word| u64::from_str_radix(word, 16).ok()).collect();
    // No filter of the helper's: the launcher started it.
    let filters = fs::read_to_string("/proc/self/status").expect("status");
    let filters = filters.lines().find_map(|line| line.strip_prefix("Seccomp_filters:")).expect("a field");
    let own = [0, 0, filters.trim().parse().expect("a number")];
    assert_eq!(masks.iter().map(|mask| mask & !(0b11 << 31)).collect::<Vec<_>>(), own, "{}", lines[3]);
    assert_eq!(lines[4], "0022");

    assert_eq!(pair.destination.ok("status", json!({}))["run"], json!(null), "given back");
    assert_eq!(ask(&there, "destination", false), Ok(json!("settled")), "for an owner who did not hear the reply");
    pair.destination.hang_up();
    assert!(pair.destination.pipes_ended() && pair.destination.is_alive(), "it keeps the memory mapped");
    fs::write(there.dir.join("stop"), "").expect("stop");
    pair.destination.end_status();
}
