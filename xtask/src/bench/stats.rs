//! Medians and how far to trust them: percentile bootstrap of the median.

/// Resamples of a bootstrap; more change the bounds by less than rounding does.
const RESAMPLES: usize = 2000;

/// A median with the bounds of its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// Estimates the median of `values`, without those that are not numbers; `None` when nothing is left.
pub(super) fn estimate(values: &[f64]) -> Option<Estimate> {
    let values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    if values.is_empty() {
        return None;
    }
    // The same samples always get the same bounds.
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            median(
                &values
                    .iter()
                    .map(|_| values[random.below(values.len())])
                    .collect::<Vec<_>>(),
            )
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    Some(Estimate {
        median: median(&values),
        low: percentile(&medians, 0.025),
        high: percentile(&medians, 0.975),
    })
}

/// Estimates the median of the ratios `own[i] / base[i]`: what a slow minute does to both sides of a round cancels out.
pub(super) fn ratio(own: &[f64], base: &[f64]) -> Option<Estimate> {
    let ratios: Vec<f64> = own.iter().zip(base).map(|(own, base)| own / base).collect();
    estimate(&ratios)
}

/// The median; the mean of the two in the middle when the number is even, 0 for nothing.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// The value below which `share` of the sorted values lie, interpolated; 0 for nothing.
pub(super) fn percentile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let position = share * last as f64;
    let (below, above) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
    below + (above - below) * position.fract()
}

/// xorshift64: resampling needs no better.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
    }

    #[test]
    fn percentiles_lie_between_the_values() {
        assert_eq!(percentile(&[1.0, 2.0, 3.0], 0.5), 2.0);
        assert_eq!(percentile(&[1.0, 2.0, 3.0], 0.75), 2.5);
        assert_eq!(percentile(&[1.0, 2.0, 3.0], 1.0), 3.0);
        assert_eq!(percentile(&[], 0.5), 0.0);
    }

    #[test]
    fn one_sample_has_no_width_and_none_no_estimate() {
        let one = estimate(&[7.0]).unwrap();
        assert_eq!((one.median, one.low, one.high), (7.0, 7.0, 7.0));
        assert_eq!(estimate(&[]), None);
        assert_eq!(estimate(&[f64::NAN]), None);
    }

    #[test]
    fn the_interval_holds_the_median_and_narrows_with_agreement() {
        let wide = estimate(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]).unwrap();
        assert!(wide.low < 5.0 && wide.median == 5.0 && wide.high > 5.0);
        assert!(wide.low >= 1.0 && wide.high <= 9.0);
        let narrow = estimate(&[4.9, 5.0, 5.0, 5.0, 5.0, 5.0, 5.1]).unwrap();
        assert!(narrow.high - narrow.low < wide.high - wide.low);
    }

    #[test]
    fn the_interval_covers_the_true_median_about_as_often_as_it_says() {
        // 200 samples of 11 uniform values each, with median 0.5.
        let mut random = Random(42);
        let mut uniform = || random.below(1_000_000) as f64 / 1e6;
        let covered = (0..200)
            .filter(|_| {
                let values: Vec<f64> = (0..11).map(|_| uniform()).collect();
                estimate(&values).is_some_and(|e| e.low <= 0.5 && 0.5 <= e.high)
            })
            .count();
        assert!((176..=200).contains(&covered), "{covered} of 200");
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // Both slow down together: the ratio does not move.
        let ratio = ratio(&[2.0, 4.0, 8.0], &[1.0, 2.0, 4.0]).unwrap();
        assert_eq!((ratio.median, ratio.low, ratio.high), (2.0, 2.0, 2.0));
    }
}
