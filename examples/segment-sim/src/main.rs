//! `segment-sim [SEED] [ROUTERS]`: an election on a LAN in memory, drawn as text. Things go wrong as
//! the seed says, then all is mended, and exactly one router must be Active: exit code 0, else 1.
//! Needs no network and no rights; the same seed draws the same picture.
//!
//! `segment-sim soak [--days N] [--seed N] [--threads N]`: 10,000 simulated days of that, one seed a day, nothing
//! drawn; a day on which an invariant broke is named with its seed.

use std::{env, error::Error, io::Write, net::IpAddr, process::ExitCode, time::Duration};

use segment_sim::soak;
use vrrp_fsm::{
    Attachment, RouterConfig, StateKind,
    simulation::{Clock, Fault, Happening, Moment, Rng, Segment, Weather},
};
use vrrp_proto::{Family, Priority, Version, Vrid};

const INTERVAL: Duration = Duration::from_secs(1);
const FAULTS: usize = 20;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = env::args().skip(1).peekable();
    if arguments.next_if(|word| word == "soak").is_some() {
        let options = soak::Options::parse(arguments)?;
        return Ok(soak::run(&mut std::io::stdout().lock(), options)?);
    }
    let seed = arguments.next().map_or(Ok(169), |text| text.parse())?;
    let routers: u8 = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let mut segment = populate(seed, routers.clamp(2, 9))?;

    let mut rng = Rng::new(seed);
    segment.run_for(INTERVAL * 5);
    for _ in 0..FAULTS {
        let fault = Fault::draw(&mut rng, segment.len(), INTERVAL);
        if matters(&segment, fault) {
            segment.apply(fault);
            segment.run_for(INTERVAL + rng.up_to(INTERVAL * 5));
        }
    }
    let wire = [Fault::Weather(Weather::default()), Fault::Mend];
    let hosts = (0..segment.len()).flat_map(|host| {
        [
            Fault::Boot(host),
            Fault::Start(host),
            Fault::Link(host, true),
        ]
    });
    for repair in wire.into_iter().chain(hosts) {
        if matters(&segment, repair) {
            segment.apply(repair);
        }
    }
    segment.run_for(INTERVAL * 18);

    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "seed {seed}: VRRPv3, interval {INTERVAL:?}; # Active, | Backup, . out, x dead\n"
    )?;
    draw(&mut out, &segment)?;
    let active: Vec<usize> = (0..segment.len())
        .filter(|host| segment.state(*host) == Some(StateKind::Active))
        .collect();
    let good = active.len() == 1 && segment.holders() == active;
    let names: Vec<String> = active.iter().map(|host| name(*host)).collect();
    let verdict = if good { "as it should be" } else { "WRONG" };
    writeln!(
        out,
        "\nAll mended and quiet: Active is {} - {verdict}.",
        names.join(" and ")
    )?;
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Router r0 has address 192.0.2.10 and priority 200, r1 .11 and 190, ...; clocks differ a little.
fn populate(seed: u64, routers: u8) -> Result<Segment, Box<dyn Error>> {
    let mut segment = Segment::new(seed);
    for number in 0..routers {
        let vrid = Vrid::new(51).ok_or("a VRID is not 0")?;
        let addresses = vec![IpAddr::from([192, 0, 2, 100])];
        let mut config = RouterConfig::new(vrid, Family::Ipv4, Version::V3, addresses);
        config.primary = Some(IpAddr::from([192, 0, 2, 10 + number]));
        config.priority = Priority::new(200 - 10 * number);
        config.interval = INTERVAL;
        let clock = Clock {
            begin: Duration::from_secs(u64::from(number)),
            drift_ppm: i32::from(number) * 20 - 100,
        };
        segment.add(Attachment::new(1, Family::Ipv4), config, clock)?;
    }
    Ok(segment)
}

/// Whether a fault or repair changes anything.
fn matters(segment: &Segment, fault: Fault) -> bool {
    use StateKind::{Active, Backup, Initialize};
    match fault {
        Fault::Boot(host) => segment.state(host).is_none(),
        Fault::Start(host) => segment.state(host) == Some(Initialize),
        Fault::Link(host, true) => segment.state(host) == Some(StateKind::Fault),
        Fault::Stop(host)
        | Fault::Link(host, false)
        | Fault::Stall(host, _)
        | Fault::Pause(host, _) => {
            matches!(segment.state(host), Some(Active | Backup))
        }
        Fault::Crash(host) => segment.state(host).is_some(),
        Fault::Weather(_) | Fault::Cut { .. } | Fault::Mend => true,
        // No router here tracks one.
        Fault::Script(..) => false,
    }
}

/// One line for each fault, transition and warning; the columns are the routers' states after it.
fn draw(out: &mut impl Write, segment: &Segment) -> std::io::Result<()> {
    let mut states = vec!['.'; segment.len()];
    let names: String = (0..segment.len())
        .map(|host| format!("{:<4}", name(host)))
        .collect();
    writeln!(out, "     time  {names} adverts")?;
    let mut adverts = 0;
    for Moment { at, what } in segment.history() {
        if let Some((host, symbol)) = change(what)
            && let Some(state) = states.get_mut(host)
        {
            *state = symbol;
        }
        let text = match what {
            Happening::Sent(..) => {
                adverts += 1;
                continue;
            }
            Happening::Announced(_) => continue,
            Happening::Fault(fault) => format!("*** {fault}"),
            Happening::Transition(host, transition) => format!("{}: {transition}", name(*host)),
            Happening::Warning(host, warning) => format!("{}: {warning}", name(*host)),
        };
        let columns: String = states.iter().map(|state| format!("{state:<4}")).collect();
        writeln!(
            out,
            "{:>8.3}s  {columns} {adverts:>7}  {text}",
            at.as_secs_f64()
        )?;
        adverts = 0;
    }
    Ok(())
}

fn change(what: &Happening) -> Option<(usize, char)> {
    match what {
        Happening::Transition(host, transition) => {
            let symbol = match transition.to {
                StateKind::Active => '#',
                StateKind::Backup => '|',
                StateKind::Initialize | StateKind::Fault => '.',
            };
            Some((*host, symbol))
        }
        Happening::Fault(Fault::Crash(host)) => Some((*host, 'x')),
        _ => None,
    }
}

fn name(host: usize) -> String {
    format!("r{host}")
}
