//! Times the dirty bitmap's three jobs: taking in a kernel's bitmap, the union, and the walk in runs. Prints JSON:
//! medians in microseconds per GiB of 4 KiB pages, beside a bit-by-bit loop over the same words as the baseline.
//! Used by `npm run bench`.

use std::hint::black_box;
use std::time::Instant;

use ferry_helper::area::Area;
use ferry_helper::dirty::DirtyBitmap;
use serde_json::json;

const GIB: u64 = 1 << 30;
const WORKLOAD_GIB: u64 = 64;
const PAGE: u64 = 4096;
const REPEATS: usize = 15;

fn median_us_per_gib(mut run: impl FnMut() -> u64) -> f64 {
    let mut times: Vec<f64> = (0..REPEATS)
        .map(|_| {
            let began = Instant::now();
            black_box(run());
            began.elapsed().as_secs_f64() * 1e6 / WORKLOAD_GIB as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[REPEATS / 2]
}

/// Words with about `per_ten_thousand` of 10 000 bits set, scattered, the same on every run.
fn words(count: usize, per_ten_thousand: u64) -> Vec<u64> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut words = vec![0; count];
    for word in &mut words {
        for bit in 0..64 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            if state % 10_000 < per_ten_thousand {
                *word |= 1 << bit;
            }
        }
    }
    words
}

fn main() {
    let area = Area { iova: 0, bytes: WORKLOAD_GIB * GIB };
    let count = (area.bytes / PAGE / 64) as usize;
    let mut rows = Vec::new();
    for (label, density) in [("clean", 0), ("0.01 %", 1), ("1 %", 100), ("50 %", 5_000), ("all dirty", 10_000)] {
        let bits = words(count, density);
        let mut bitmap = DirtyBitmap::new(PAGE, &[area]);
        bitmap.or_bits(area.iova, area.bytes, PAGE, &bits);
        let mut into = DirtyBitmap::new(PAGE, &[area]);
        let read = median_us_per_gib(|| into.or_bits(area.iova, area.bytes, PAGE, black_box(&bits)));
        let union = median_us_per_gib(|| {
            into.or(black_box(&bitmap));
            0
        });
        let scan = median_us_per_gib(|| bitmap.runs(512 * 1024).map(|run| run.bytes).sum());
        let baseline = median_us_per_gib(|| {
            (0..count as u64 * 64).filter(|bit| bits[(bit / 64) as usize] >> (bit % 64) & 1 == 1).count() as u64
        });
        rows.push(json!({
            "dirty": label, "readUsPerGib": read, "unionUsPerGib": union, "scanUsPerGib": scan,
            "bitByBitUsPerGib": baseline,
        }));
    }
    println!("{}", json!({ "workloadGib": WORKLOAD_GIB, "rows": rows }));
}
