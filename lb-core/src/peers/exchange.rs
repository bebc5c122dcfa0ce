//! What two peers say to each other once they know who they are: definitions of tables, updates and their
//! confirmations, and lessons, in which one tells the other everything.

use std::time::{Duration, Instant};

use super::{
    group::{Group, Shared},
    session::Broken,
    table::{self, Definition, HeardNames, ToldNames},
    wire::{self, Control, Message, Reader},
};
use crate::stick_table::{Column, Datum, Listener};

/// Most tables that a peer may define.
const TABLES: usize = 256;
/// No more is made ready to be sent before some of it is.
const AHEAD: usize = 32 * 1024;

#[derive(Debug)]
pub(super) struct Established {
    pub(super) peer: usize,
    pub(super) session: u64,
    /// It speaks version 2.1.
    current: bool,
    pub(super) own: Vec<Own>,
    heard: Vec<Heard>,
    /// Place in `heard` of the table that updates are about.
    about: Option<usize>,
    /// Place in `own` of the table that our updates are about.
    telling: Option<usize>,
    names: ToldNames,
    heard_names: HeardNames,
    /// Memory for the columns of an update.
    data: Vec<(Column, Datum)>,
    /// We ask for everything, or hear it.
    pub(super) learns: Lesson,
    /// The other side asked for everything.
    pub(super) teaches: Lesson,
    /// Ends of lessons to be confirmed.
    confirms: u32,
    /// It ends with the lesson.
    pub(super) only_teaches: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lesson {
    None,
    Wanted,
    Runs,
    /// Its end has been told, and is to be confirmed.
    Told,
}

/// A table of ours as this peer is told it.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) listener: Listener,
    /// The last change that was told.
    pub(super) told: u64,
    /// In a lesson, the last that was told and the last that is to be.
    lesson: (u64, u64),
    /// The number that the peer counts the next update from.
    counted: Option<u64>,
}

/// A table of the peer.
#[derive(Debug)]
struct Heard {
    definition: Definition,
    /// Place of the table here, if it is here and fits.
    table: Option<usize>,
    /// Of the columns that its updates carry those that are wanted.
    wanted: Vec<bool>,
    /// Numbers of the last update that came and of the last that was confirmed.
    last: u32,
    confirmed: Option<u32>,
}

impl Established {
    /// With a peer, by the number of the session. With `tables` comes for each the last change that the peer has;
    /// `asks`: it is asked for everything.
    pub(super) fn new<'t>(
        (peer, session): (usize, u64),
        current: bool,
        tables: impl Iterator<Item = (&'t Shared, u64)>,
        asks: bool,
        only_teaches: bool,
    ) -> Self {
        let own = |(shared, told): (&Shared, u64)| Own {
            listener: shared.table.listen(),
            told,
            lesson: (0, 0),
            counted: None,
        };
        Self {
            peer,
            session,
            current,
            own: tables.map(own).collect(),
            heard: Vec::new(),
            about: None,
            telling: None,
            names: ToldNames::default(),
            heard_names: HeardNames::default(),
            data: Vec::new(),
            learns: if asks { Lesson::Wanted } else { Lesson::None },
            teaches: Lesson::None,
            confirms: 0,
            only_teaches,
        }
    }

    pub(super) fn begin_teaching(&mut self, tables: &[Shared]) {
        for (own, shared) in self.own.iter_mut().zip(tables) {
            let last = shared.table.last_changes().0;
            own.lesson = (0, last);
            own.told = last;
        }
        self.teaches = Lesson::Runs;
    }

    pub(super) fn hear(
        &mut self,
        message: Message<'_>,
        group: &Group,
        now: Instant,
    ) -> Result<(), Broken> {
        match message {
            Message::Control(Control::Request) => self.begin_teaching(group.tables()),
            Message::Control(end @ (Control::Finished | Control::Partial)) => {
                self.confirms += 1;
                self.learns = Lesson::None;
                group.lesson_ends(self.peer, end == Control::Finished, now);
            }
            Message::Control(Control::Confirm) => {
                if self.teaches == Lesson::Told {
                    self.teaches = Lesson::None;
                    for (place, own) in self.own.iter().enumerate() {
                        group.confirmed(self.peer, place, own.told);
                    }
                }
            }
            Message::Control(Control::Heartbeat) | Message::Unknown => {}
            Message::Error => return Err(Broken::Rejected),
            Message::Table(kind, content) => {
                self.hear_table(kind, content, group, now)
                    .ok_or(Broken::Malformed)?;
            }
        }
        Ok(())
    }

    fn hear_table(&mut self, kind: u8, content: &[u8], group: &Group, now: Instant) -> Option<()> {
        let mut reader = Reader(content);
        match kind {
            wire::DEFINITION => {
                let definition = Definition::read(content)?;
                let mut shared = group.tables().iter();
                let table = shared
                    .position(|one| *one.name == *definition.name && definition.fits(&one.table));
                let here = table.and_then(|place| group.tables().get(place));
                let wanted = here.map_or_else(Vec::new, |one| definition.wanted(&one.table));
                let known = |heard: &Heard| heard.definition.number == definition.number;
                self.about = match self.heard.iter().position(known) {
                    Some(place) => {
                        let heard = self.heard.get_mut(place)?;
                        heard.definition = definition;
                        heard.table = table;
                        heard.wanted = wanted;
                        Some(place)
                    }
                    // Nobody has so many tables.
                    None if self.heard.len() >= TABLES => return None,
                    None => {
                        self.heard.push(Heard {
                            definition,
                            table,
                            wanted,
                            last: 0,
                            confirmed: None,
                        });
                        Some(self.heard.len() - 1)
                    }
                };
            }
            wire::SWITCH => {
                let number = reader.number()?;
                let of = |heard: &Heard| heard.definition.number == number;
                self.about = self.heard.iter().position(of);
            }
            wire::UPDATE | wire::NEXT_UPDATE | wire::TIMED_UPDATE | wire::NEXT_TIMED_UPDATE => {
                // About a table that is not here.
                let Some(heard) = self.about.and_then(|place| self.heard.get_mut(place)) else {
                    return Some(());
                };
                let next = matches!(kind, wire::NEXT_UPDATE | wire::NEXT_TIMED_UPDATE);
                heard.last = if next {
                    heard.last.wrapping_add(1)
                } else {
                    reader.word()?
                };
                let timed = matches!(kind, wire::TIMED_UPDATE | wire::NEXT_TIMED_UPDATE);
                let left = if timed { Some(reader.word()?) } else { None };
                let left = left
                    .filter(|ms| *ms > 0)
                    .map(|ms| Duration::from_millis(ms.into()));
                let Some(shared) = heard.table.and_then(|place| group.tables().get(place)) else {
                    return Some(());
                };
                let (names, data) = (&mut self.heard_names, &mut self.data);
                let key = heard.definition.read_entry(
                    &mut reader,
                    shared.table.config().key,
                    &heard.wanted,
                    names,
                    data,
                )?;
                shared.table.learn(now, &key, left, data);
                group.count(self.peer, 1, 0);
            }
            wire::ACKNOWLEDGEMENT => {
                let (number, update) = (reader.number()?, reader.word()?);
                let place = usize::try_from(number).ok()?.checked_sub(1)?;
                if let Some(own) = self.own.get(place) {
                    group.confirmed(self.peer, place, behind(own.told, update));
                }
            }
            _ => {}
        }
        Some(())
    }

    /// Writes what is to be told, up to a bound.
    pub(super) fn tell(&mut self, group: &Group, out: &mut Vec<u8>, now: Instant) {
        if self.learns == Lesson::None && !self.only_teaches && group.wants_lesson(self.peer, now) {
            self.learns = Lesson::Wanted;
        }
        if self.learns == Lesson::Runs && group.knows_everything(now) {
            // The time to look for somebody who knows is over; what else comes is heard as well.
            self.learns = Lesson::None;
        }
        if self.learns == Lesson::Wanted {
            Control::Request.put(out);
            self.learns = Lesson::Runs;
        }
        while self.confirms > 0 {
            Control::Confirm.put(out);
            self.confirms -= 1;
        }
        for heard in &mut self.heard {
            if heard.confirmed.unwrap_or(0) != heard.last {
                heard.confirmed = Some(heard.last);
                let mut content = Vec::new();
                wire::put_number(heard.definition.number, &mut content);
                content.extend_from_slice(&heard.last.to_be_bytes());
                wire::put_table_message(wire::ACKNOWLEDGEMENT, &content, out);
            }
        }
        let told = self.tell_changes(group, out, now);
        if told > 0 {
            group.count(self.peer, 0, told);
        }
        let over = self.own.iter().all(|own| own.lesson.0 >= own.lesson.1);
        if self.teaches == Lesson::Runs && over {
            self.teaches = Lesson::Told;
            let end = match group.knows_everything(now) {
                true => Control::Finished,
                false => Control::Partial,
            };
            end.put(out);
        }
    }

    /// Tells of changes: in a lesson of all, else of those made here, but not while we learn. How many those were.
    fn tell_changes(&mut self, group: &Group, out: &mut Vec<u8>, now: Instant) -> u64 {
        let mut told = 0;
        let lesson = self.teaches == Lesson::Runs;
        if !lesson && (self.learns != Lesson::None || self.only_teaches) {
            return told;
        }
        for (place, shared) in group.tables().iter().enumerate() {
            while out.len() < AHEAD {
                let Some(own) = self.own.get_mut(place) else {
                    break;
                };
                let after = if lesson { own.lesson.0 } else { own.told };
                if lesson && after >= own.lesson.1 {
                    break;
                }
                let change = match shared.table.next_change(now, after, !lesson) {
                    Ok(change) if !lesson || change.number <= own.lesson.1 => change,
                    // What follows has been told, or is gone.
                    Err(last) if !lesson => {
                        own.told = last;
                        break;
                    }
                    _ => {
                        own.lesson.0 = own.lesson.1;
                        break;
                    }
                };
                if lesson {
                    own.lesson.0 = change.number;
                } else {
                    own.told = change.number;
                }
                let next = own.counted == Some(change.number.wrapping_sub(1));
                own.counted = Some(change.number);
                if self.telling != Some(place) {
                    self.telling = Some(place);
                    let mut content = Vec::new();
                    let number = place as u64 + 1;
                    table::put_definition(number, &shared.name, &shared.table, &mut content);
                    wire::put_table_message(wire::DEFINITION, &content, out);
                }
                let timed = lesson && self.current;
                let mut content = Vec::new();
                if !next {
                    content.extend_from_slice(&low(change.number).to_be_bytes());
                }
                if timed {
                    content.extend_from_slice(&table::milliseconds(change.left).to_be_bytes());
                }
                table::put_entry(&change, &shared.table, &mut self.names, &mut content);
                let kind = match (next, timed) {
                    (false, false) => wire::UPDATE,
                    (true, false) => wire::NEXT_UPDATE,
                    (false, true) => wire::TIMED_UPDATE,
                    (true, true) => wire::NEXT_TIMED_UPDATE,
                };
                wire::put_table_message(kind, &content, out);
                told += 1;
            }
        }
        told
    }
}

/// The lower half of a change's number: what goes over the wire.
fn low(number: u64) -> u32 {
    let [a, b, c, d, ..] = number.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// The number up to `last` whose lower half is `update`.
fn behind(last: u64, update: u32) -> u64 {
    let back = low(last).wrapping_sub(update);
    last.saturating_sub(back.into())
}
