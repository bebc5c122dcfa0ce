//! What both ends of a WebSocket's handshake compute (RFC 6455 §1.3), and who begins one.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha1::{Digest as _, Sha1};

use crate::head::HeadRef;

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key`.
pub(super) fn proof(key: &[u8]) -> String {
    let mut sha1 = Sha1::new();
    sha1.update(key);
    sha1.update(GUID);
    STANDARD.encode(sha1.finalize())
}

/// Whether a request that asks for another protocol wants it to be WebSocket.
pub(super) fn is_asked_for(request: HeadRef<'_>) -> bool {
    let mut values = request.values(b"upgrade");
    values.any(|value| value.eq_ignore_ascii_case(b"websocket"))
}
