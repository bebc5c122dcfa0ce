//! `tcp-response content`: what is said of the first bytes of a server.

use std::time::Instant;

use super::{
    AnswerVerdict, ProxyRules,
    run::{self, Bytes, Ending},
};
use crate::{
    head::HeadRef,
    request::{ConnectionInfo, RuleState},
};

impl ProxyRules {
    /// Whether anything is to be said of the first bytes of a server.
    pub fn inspects_answers(&self) -> bool {
        !self.rules.answers.is_empty() || !self.rules.learned.is_empty()
    }

    /// `tcp-response content` over the bytes received of the server so far (`complete`: no more will come, or the
    /// time is over); in HTTP mode with the parsed heads. Without an inspection time nothing is waited for: rules see
    /// the connection with the server before the server says anything.
    pub fn on_answer(
        &self,
        now: Instant,
        connection: &ConnectionInfo,
        (request, response): (Option<HeadRef<'_>>, Option<HeadRef<'_>>),
        (answer, complete): (&[u8], bool),
        state: &mut RuleState,
    ) -> AnswerVerdict {
        let delay = self.rules.answer_delay;
        let bytes = Bytes {
            now,
            connection,
            request,
            peeked: false,
            awaits_request: false,
            payload: &[],
            response: response.filter(|_| delay.is_some()),
            answer: delay.map_or(&[], |_| answer),
            complete: complete || delay.is_none(),
        };
        match run::over_bytes(&self.rules.answers, &bytes, state) {
            Ending::Reject => AnswerVerdict::Reject,
            Ending::Close => AnswerVerdict::Close,
            Ending::SilentDrop => AnswerVerdict::SilentDrop,
            Ending::Unknown if !bytes.complete => AnswerVerdict::NeedMore {
                within: delay.unwrap_or_default(),
            },
            _ => AnswerVerdict::Accept,
        }
    }
}
