//! For the machines' tests: every state that any order of events leads to.

/// Breadth first from `start`, by every event from every state.
pub fn reachable<M: Copy + PartialEq, E: Copy, A>(
    start: M,
    events: &[E],
    on: impl Fn(&mut M, E) -> Option<A>,
) -> Vec<M> {
    let mut found = vec![start];
    let mut at = 0;
    while at < found.len() {
        for event in events {
            let mut machine = found[at];
            let _ = on(&mut machine, *event);
            if !found.contains(&machine) {
                found.push(machine);
            }
        }
        at += 1;
    }
    found
}
