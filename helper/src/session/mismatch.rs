//! In what a run's request differs from what a holder has, one sentence each. What only matters when something is
//! opened (first content, populating) is not compared.

use crate::message::SimSpec;
use crate::message::{BackingSpec, ContainerParams, DeviceTarget, MemoryParams, RegionSpec};

pub(super) fn memory_differences(held: &MemoryParams, asked: &MemoryParams) -> Vec<String> {
    let mut found = Vec::new();
    if held.page_size != asked.page_size {
        found.push(format!("its page size is {}, the run wants {}", held.page_size, asked.page_size));
    }
    for wanted in &asked.regions {
        match held.regions.iter().find(|region| region.region == wanted.region) {
            Some(region) => found.extend(region_differences(region, wanted)),
            None => found.push(format!("it has no region `{}`", wanted.region)),
        }
    }
    let named = |region: &&RegionSpec| asked.regions.iter().any(|wanted| wanted.region == region.region);
    for region in held.regions.iter().filter(|region| !named(region)) {
        found.push(format!("it has a region `{}` the run does not name", region.region));
    }
    found
}

fn region_differences(held: &RegionSpec, asked: &RegionSpec) -> Option<String> {
    let told = |region: &RegionSpec| {
        let backing = match &region.backing {
            BackingSpec::Memfd { huge_page_bytes: None } => "memfd".to_owned(),
            BackingSpec::Memfd { huge_page_bytes: Some(bytes) } => format!("memfd of huge pages of {} bytes", bytes.0),
            BackingSpec::File { path } => format!("file {path}"),
        };
        format!("{} bytes at {:#x}, {backing}", region.bytes.0, region.iova.0)
    };
    let same = held.iova == asked.iova && held.bytes == asked.bytes && held.backing == asked.backing;
    (!same).then(|| format!("region `{}` is {}, the run wants {}", held.region, told(held), told(asked)))
}

/// A container that can do more than the run needs will do.
pub(super) fn container_differences(held: &ContainerParams, asked: &ContainerParams) -> Vec<String> {
    let mut found = Vec::new();
    let mut differs = |what: String| found.push(format!("container `{}` {what}", held.container));
    if held.backend != asked.backend {
        differs(format!("is of backend {:?}, the run wants {:?}", held.backend, asked.backend).to_lowercase());
    }
    if asked.dirty_tracking && !held.dirty_tracking {
        differs("was made without dirty tracking, which the run's tracker needs".to_owned());
    }
    if asked.mixed && !held.mixed {
        differs("was not made for physical groups beside emulated ones".to_owned());
    }
    if held.huge_pages && asked.dirty_tracking && !asked.huge_pages {
        differs("tracks huge pages as such, the run wants single pages".to_owned());
    }
    found
}

pub(super) fn target_differences(device: &str, held: &DeviceTarget, asked: &DeviceTarget) -> Vec<String> {
    match (held, asked) {
        (held, asked) if held == asked => Vec::new(),
        (DeviceTarget::Kernel { sysfs_path: held }, DeviceTarget::Kernel { sysfs_path: asked }) => {
            vec![format!("device `{device}` is {held}, the run wants {asked}")]
        }
        (DeviceTarget::Sim { spec: held }, DeviceTarget::Sim { spec: asked }) => {
            vec![format!("simulated device `{device}` differs in {}", spec_differences(held, asked).join(", "))]
        }
        _ => vec![format!("device `{device}` is real on one side and simulated on the other")],
    }
}

/// Names of the fields, as a profile has them.
fn spec_differences(held: &SimSpec, asked: &SimSpec) -> Vec<String> {
    let fields = |spec: &SimSpec| match serde_json::to_value(spec) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (held, asked) = (fields(held), fields(asked));
    let names: std::collections::BTreeSet<_> = held.keys().chain(asked.keys()).collect();
    names.into_iter().filter(|name| held.get(*name) != asked.get(*name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn memory(regions: Value) -> MemoryParams {
        serde_json::from_value(json!({"pageSize": 4096, "regions": regions})).expect("params")
    }

    fn region(name: &str, bytes: u64, backing: Value) -> Value {
        json!({"region": name, "iova": "0x0", "bytes": bytes, "backing": backing, "populate": false})
    }

    #[test]
    fn every_difference_of_the_memory_is_named() {
        let memfd = json!({"kind": "memfd"});
        let held = memory(json!([region("ram", 4096, memfd.clone()), region("old", 4096, memfd.clone())]));
        assert_eq!(memory_differences(&held, &held), Vec::<String>::new());
        let asked = memory(json!([
            region("ram", 8192, json!({"kind": "file", "path": "/dev/shm/ram"})),
            region("new", 4096, memfd),
        ]));
        let found = memory_differences(&held, &asked).join("; ");
        for part in
            ["`ram` is 4096 bytes at 0x0, memfd, the run wants 8192", "/dev/shm/ram", "no region `new`", "`old`"]
        {
            assert!(found.contains(part), "{part} in {found}");
        }
    }

    #[test]
    fn a_container_may_do_more_than_is_asked_but_not_less() {
        let container = |tracking: bool, huge: bool| -> ContainerParams {
            serde_json::from_value(json!({
                "container": "c", "backend": "iommufd", "dirtyTracking": tracking, "hugePages": huge
            }))
            .expect("params")
        };
        let differ = |held, asked| container_differences(&held, &asked).len();
        assert_eq!(differ(container(true, false), container(false, false)), 0);
        assert_eq!(differ(container(true, false), container(true, true)), 0);
        assert_eq!(differ(container(false, false), container(true, false)), 1);
        assert_eq!(differ(container(true, true), container(true, false)), 1);
    }

    #[test]
    fn a_simulated_device_that_differs_names_its_fields() {
        let sim = |seed: u64, pattern: &str| -> DeviceTarget {
            serde_json::from_value(json!({"kind": "sim", "spec": {
                "model": "mdev", "flags": ["stop-copy"], "trackers": [], "stateBytes": 65536, "precopyBytes": 0,
                "seed": seed, "window": {"iova": "0x0", "bytes": 4096}, "writeBytesPerSecond": 0, "pattern": pattern
            }}))
            .expect("target")
        };
        assert!(target_differences("d", &sim(1, "hot"), &sim(1, "hot")).is_empty());
        let found = target_differences("d", &sim(1, "hot"), &sim(2, "uniform"));
        assert!(found.len() == 1 && found[0].ends_with("differs in pattern, seed"), "{found:?}");
    }
}
