//! Runs the program under callgrind and reads the counts.

use std::path::Path;
use std::process::Command;

use e2e::needs;

/// A stage and the instructions of one run of it.
pub(super) type Stage = (String, u64);

/// Counts all stages of the program, in its order.
pub(super) fn count(program: &Path) -> Result<Vec<Stage>, String> {
    let file = needs::target().join("instructions.callgrind");
    let mut valgrind = Command::new("valgrind");
    // One thread's whole count is written down and begins again at each call of `boundary`.
    valgrind
        .args([
            "--quiet",
            "--tool=callgrind",
            "--combine-dumps=yes",
            "--dump-before=instructions::boundary*",
        ])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(program);
    let output = valgrind.output().map_err(|error| format!("valgrind: {error}"))?;
    if !output.status.success() {
        return Err(format!("valgrind: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let profile = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    stages(&String::from_utf8_lossy(&output.stdout), &profile)
}

/// Brings together what the program says, `runs`, tab, name for each stage, and the totals of the profile: those of a stage follow
/// those of what was before it, and after the last comes the rest of the program.
fn stages(lines: &str, profile: &str) -> Result<Vec<Stage>, String> {
    let totals = profile
        .lines()
        .filter_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
    let totals: Vec<u64> = totals.collect();
    let lines: Vec<(u64, &str)> = lines
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .filter_map(|(runs, name)| Some((runs.parse().ok()?, name)))
        .collect();
    if totals.len() != 2 * lines.len() + 1 {
        return Err(format!("{} stages do not fit {} intervals", lines.len(), totals.len()));
    }
    let counts: Vec<u64> = totals.into_iter().skip(1).step_by(2).collect();
    let nothing = counts.first().copied().unwrap_or(0);
    let stages = lines.iter().zip(counts).skip(1);
    Ok(stages
        .map(|((runs, name), count)| ((*name).to_string(), count.saturating_sub(nothing) / (*runs).max(1)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_second_total_is_a_stage_less_what_nothing_costs() {
        let profile = "totals: 9\ntotals: 5\nfn=x\ntotals: 9\ntotals: 1005\ntotals: 9\ntotals: 25\ntotals: 9\n";
        let stages = stages("1\tnothing\n100\ta\n2\tb c\n", profile);
        assert_eq!(stages, Ok(vec![("a".into(), 10), ("b c".into(), 10)]));
    }

    #[test]
    fn a_missing_interval_is_an_error() {
        assert!(stages("1\tnothing\n", "totals: 9\ntotals: 5\n").is_err());
    }
}
