//! Handshakes: how many a responder answers, and what it does to a flow when thousands come at once.

use super::crowd;
use super::leg::{Better, Figure, Leg, Run, Theme, Who};
use super::stand::{Iperf, PORT, Series, Setting, number};

pub(super) const ANSWERED: Leg = Leg {
    name: "handshakes",
    who: Who::Engines,
    quick: false,
    run: Run::Own(answered),
    figures: &[
        Figure::new(
            "handshakes",
            Theme::Scale,
            "handshakes answered",
            "per second",
            Better::Higher,
            0,
        ),
        Figure::new(
            "handshakes_cpu",
            Theme::Scale,
            "handshakes answered",
            "per CPU-second",
            Better::Higher,
            0,
        ),
    ],
};

pub(super) const STORM: Leg = Leg {
    name: "storm",
    who: Who::Engines,
    quick: false,
    run: Run::Own(storm),
    figures: &[
        Figure::new(
            "storm_half",
            Theme::Scale,
            "10,000 peers at once: half are up",
            "s",
            Better::Lower,
            1,
        ),
        Figure::new(
            "storm_all",
            Theme::Scale,
            "10,000 peers at once: all are up",
            "s",
            Better::Lower,
            1,
        ),
        Figure::new(
            "storm_flow",
            Theme::Scale,
            "10,000 peers at once: a flow keeps",
            "%",
            Better::Higher,
            0,
        ),
    ],
};

/// Answers a second, and for each second of the responder's processor time.
fn answered(series: &Series, setting: &Setting) -> Result<Vec<f64>, String> {
    let (peers, each) = if setting.smoke { (200, 2) } else { (2000, 5) };
    let mut stand = crowd::stand(series, setting, peers)?;
    let pid = stand.receiver()?.pid();
    let seconds = setting.seconds * 2;
    let report = crowd::attack(
        &stand,
        &format!("handshakes --pid {pid} --peers {peers} --each {each} --seconds {seconds}"),
    )?;
    stand.check_alive()?;
    let [sent, responses, seconds, used] =
        ["sent", "responses", "seconds", "cpu_seconds"].map(|field| number(&report, &[field]));
    let (sent, responses, used) = (sent?, responses?, used?);
    // Not answering is no way to be fast: what is answered at all must be most of it.
    if responses < sent * 0.5 || responses == 0.0 {
        return Err(format!("{responses} of {sent} initiations were answered: {report}"));
    }
    let efficiency = if used > 0.0 { responses / used } else { f64::NAN };
    Ok(vec![responses / seconds?, efficiency])
}

fn storm(series: &Series, setting: &Setting) -> Result<Vec<f64>, String> {
    let peers = if setting.smoke { 100 } else { 10_000 };
    let mut stand = crowd::stand(series, setting, peers)?;
    let _flow = Iperf::start(&stand.lab.left, PORT, &["-t", "100", "-c", &stand.target().to_string()])?;
    let before = setting.seconds;
    let report = crowd::attack(&stand, &format!("storm --peers {peers} --before {before} --limit 60"))?;
    stand.check_alive()?;
    let up = number(&report, &["up"])?;
    if up < f64::from(peers) {
        return Err(format!("{up} of {peers} peers were up after 60 s: {report}"));
    }
    let [half, all, alone, during] = ["median", "last", "alone", "during"].map(|field| number(&report, &[field]));
    let (alone, during) = (alone?, during?);
    // A small storm is over before the flow's next packet.
    if alone <= 0.0 {
        return Err(format!("there was no flow: {report}"));
    }
    Ok(vec![half?, all?, during / alone * 100.0])
}
