//! What is read and written, byte for byte; the classes of attack of the balancer's security table.

mod attacks;
mod chunks;
mod heads;
mod properties;

use super::{
    Error, Leniency, Limits, Method, Progress, RequestDecoder, RequestSummary, ResponseDecoder,
    ResponseSummary,
};
use crate::head::Head;

fn request_with(leniency: Leniency, text: &str) -> Result<(RequestSummary, Head), Error> {
    let mut head = Head::default();
    match RequestDecoder::new(Limits::default(), leniency).decode(text.as_bytes(), &mut head)? {
        Progress::Complete(summary) => Ok((summary, head)),
        Progress::Partial => panic!("partial: {text:?}"),
    }
}

fn request(text: &str) -> Result<RequestSummary, Error> {
    request_with(Leniency::STRICT, text).map(|(summary, _)| summary)
}

fn response_to(method: Method, text: &str) -> Result<(ResponseSummary, Head), Error> {
    let mut head = Head::default();
    let mut decoder = ResponseDecoder::new(Limits::default(), Leniency::STRICT, method);
    match decoder.decode(text.as_bytes(), &mut head)? {
        Progress::Complete(summary) => Ok((summary, head)),
        Progress::Partial => panic!("partial: {text:?}"),
    }
}

fn response(text: &str) -> Result<ResponseSummary, Error> {
    response_to(Method::Get, text).map(|(summary, _)| summary)
}
