//! What caches have to do with one request and its response.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use super::{Cache, Candidate, Object, Question};
use crate::head::HeadRef;

/// What caches have to do with one request and its response.
#[derive(Debug, Default)]
pub struct Visit {
    question: Option<Question>,
    found: Option<Found>,
    candidates: Vec<Candidate>,
    lookups: u32,
    has_content: bool,
}

/// What answers a request.
#[derive(Debug, Clone)]
pub struct Found {
    /// The cache.
    pub cache: Arc<Cache>,
    /// The response.
    pub object: Arc<Object>,
    /// The client has it already: 304.
    pub known: bool,
}

impl Visit {
    /// Whether the request came with a content: nothing is looked up or kept for it then.
    pub(crate) fn note_content(&mut self, has_content: bool) {
        self.has_content = has_content;
    }

    /// `cache-use`: looks for the request, as it is now, unless something was found already.
    pub fn look(&mut self, cache: &Arc<Cache>, now: Instant, request: HeadRef<'_>) {
        if self.found.is_some() {
            return;
        }
        let varies = cache.config().process_vary;
        match &mut self.question {
            Some(question) if varies => question.note_selecting(request),
            Some(_) => {}
            None => self.question = Question::of(request, varies, self.has_content),
        }
        let Some(question) = self.question.as_ref().filter(|q| q.is_served()) else {
            return;
        };
        self.lookups += 1;
        if let Some(object) = cache.find(now, question) {
            self.found = Some(Found {
                known: object.is_known_to(request),
                cache: Arc::clone(cache),
                object,
            });
        }
    }

    /// `cache-store`: the response, as it is now, may be kept. Without [`Visit::look`] nothing is.
    pub fn store(&mut self, cache: &Arc<Cache>, at: (Instant, SystemTime), response: HeadRef<'_>) {
        let Some(question) = self.question.as_ref().filter(|_| self.found.is_none()) else {
            return;
        };
        if self
            .candidates
            .iter()
            .all(|other| !Arc::ptr_eq(other.cache(), cache))
        {
            self.candidates
                .extend(cache.consider(at, question, response));
        }
    }

    /// What was found.
    pub fn found(&self) -> Option<&Found> {
        self.found.as_ref()
    }

    /// What is to be kept.
    pub fn take_candidates(&mut self) -> Vec<Candidate> {
        std::mem::take(&mut self.candidates)
    }

    /// How often something was looked for since the last call.
    pub fn take_lookups(&mut self) -> u32 {
        std::mem::take(&mut self.lookups)
    }
}
