//! The table of docs/instructions.md.

use std::fmt::Write as _;

use super::callgrind::Stage;

/// By how many percent a stage may be above the table.
const TOLERANCE: u64 = 5;

/// The beginning of the line that names the compiler.
const COMPILER: &str = "Compiler: ";

/// What comes before the table.
const INTRODUCTION: &str = "# Instructions of the hot stages

Counted by callgrind, which shows the program a CPU with AVX2 and without AVX-512. One run of each stage, in user space.

Command: `cargo xtask instructions --write`. `cargo xtask instructions`, a step of `cargo xtask test`, fails when a stage takes over 5 % more than
here, or when the stages are others. With another compiler it only reports. Instructions are not time: vectors do more in one, and waiting
for memory takes none. `cargo bench -p benches` tells time.
";

/// The counts of all stages, by one compiler.
#[derive(Debug, PartialEq)]
pub(super) struct Table {
    pub(super) compiler: String,
    pub(super) stages: Vec<Stage>,
}

impl Table {
    pub(super) fn parse(text: &str) -> Self {
        let compiler = text.lines().find_map(|line| line.strip_prefix(COMPILER));
        let stages = text.lines().filter_map(|line| {
            let (name, count) = line.strip_prefix("| ")?.strip_suffix(" |")?.rsplit_once(" | ")?;
            Some((name.to_string(), count.parse().ok()?))
        });
        Self {
            compiler: compiler.unwrap_or_default().to_string(),
            stages: stages.collect(),
        }
    }

    pub(super) fn to_markdown(&self) -> String {
        let mut text = format!(
            "{INTRODUCTION}\n{COMPILER}{}\n\n| stage | instructions |\n|---|---:|\n",
            self.compiler
        );
        for (name, count) in &self.stages {
            let _ = writeln!(text, "| {name} | {count} |");
        }
        text
    }

    /// Compares what was counted with what is committed, and describes it.
    pub(super) fn compare(&self, committed: &Self) -> Result<String, String> {
        let mut text = String::new();
        let mut wrong = Vec::new();
        for (name, count) in &self.stages {
            let Some((_, before)) = committed.stages.iter().find(|(other, _)| other == name) else {
                wrong.push(format!("{name}: not in the table"));
                continue;
            };
            let change = 100.0 * (*count as f64 / (*before).max(1) as f64 - 1.0);
            let _ = writeln!(text, "{count:>9} {change:>+6.1} %  {name}");
            if 100 * count > (100 + TOLERANCE) * before {
                wrong.push(format!("{name}: {count} instructions, {before} in the table"));
            }
        }
        let gone = committed
            .stages
            .iter()
            .filter(|(name, _)| self.stages.iter().all(|(other, _)| other != name));
        wrong.extend(gone.map(|(name, _)| format!("{name}: in the table alone")));
        print!("{text}");
        if wrong.is_empty() {
            return Ok(format!(
                "no stage takes over {TOLERANCE} % more instructions than in the table"
            ));
        }
        let wrong = wrong.join("\n");
        if self.compiler == committed.compiler {
            Err(format!("{wrong}\nif that is meant: cargo xtask instructions --write"))
        } else {
            Ok(format!(
                "{wrong}\nnot held against {}, for the table is of {}",
                self.compiler, committed.compiler
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(compiler: &str, stages: &[(&str, u64)]) -> Table {
        Table {
            compiler: compiler.into(),
            stages: stages.iter().map(|(name, count)| ((*name).into(), *count)).collect(),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let written = table("rustc 1", &[("seal, 8", 100), ("route", 7)]);
        assert_eq!(Table::parse(&written.to_markdown()), written);
    }

    #[test]
    fn up_to_five_percent_more_pass_and_above_fails() {
        let committed = table("rustc 1", &[("seal", 100)]);
        assert!(table("rustc 1", &[("seal", 105)]).compare(&committed).is_ok());
        assert!(table("rustc 1", &[("seal", 50)]).compare(&committed).is_ok());
        assert!(table("rustc 1", &[("seal", 106)]).compare(&committed).is_err());
    }

    #[test]
    fn other_stages_than_in_the_table_fail() {
        let committed = table("rustc 1", &[("seal", 100)]);
        assert!(table("rustc 1", &[("open", 100)]).compare(&committed).is_err());
        assert!(table("rustc 1", &[]).compare(&committed).is_err());
    }

    #[test]
    fn with_another_compiler_nothing_fails() {
        let committed = table("rustc 1", &[("seal", 100)]);
        let report = table("rustc 2", &[("seal", 106)]).compare(&committed);
        assert!(report.is_ok_and(|text| text.contains("seal: 106")));
    }
}
