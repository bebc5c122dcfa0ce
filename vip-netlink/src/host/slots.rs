//! What is known of each router, by its number. Those are places in a [`RouterSet`](vrrp_fsm::RouterSet): small and dense, so
//! that the way to one of hundreds is a single step; each advert goes it some times.

use vrrp_fsm::RouterId;

use super::Slot;

/// The routers of a host.
#[derive(Debug, Default)]
pub(super) struct Slots(Vec<Option<Slot>>);

impl Slots {
    pub(super) fn get(&self, router: RouterId) -> Option<&Slot> {
        self.0.get(router.index())?.as_ref()
    }

    pub(super) fn get_mut(&mut self, router: RouterId) -> Option<&mut Slot> {
        self.0.get_mut(router.index())?.as_mut()
    }

    pub(super) fn insert(&mut self, router: RouterId, slot: Slot) {
        let place = router.index();
        if self.0.len() <= place {
            self.0.resize_with(place + 1, || None);
        }
        if let Some(free) = self.0.get_mut(place) {
            *free = Some(slot);
        }
    }

    pub(super) fn remove(&mut self, router: RouterId) {
        if let Some(place) = self.0.get_mut(router.index()) {
            *place = None;
        }
        // The room behind the last one goes back.
        let last = self.0.iter().rposition(Option::is_some);
        let used = last.map_or(0, |last| last + 1);
        self.0.truncate(used);
        self.0.shrink_to(used * 2);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (RouterId, &Slot)> {
        let places = (0..).map(RouterId::new).zip(&self.0);
        places.filter_map(|(id, slot)| Some((id, slot.as_ref()?)))
    }
}
