//! Nothing on an advertisement's way allocates: parse, verify and emit of every kind run under a
//! counting allocator.
#![cfg(feature = "auth")]
#![expect(
    unsafe_code,
    clippy::unwrap_used,
    reason = "tests; an allocator is unsafe to write"
)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    fmt::Write as _,
    net::IpAddr,
    time::Duration,
};

use vrrp_proto::{
    Addresses, Advertisement, Auth, ChecksumMode, Envelope, Interval, Password, Priority, Version,
    Vrid, ah, auth_hmac,
};

/// The system's allocator, counting what this thread asks of it.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: the system's allocator does the work; a const-initialised thread-local of a type without
// destructor neither allocates nor runs code of its own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(what: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    what();
    ALLOCATIONS.with(Cell::get) - before
}

/// A line that an operator reads, in place.
struct Line([u8; 8192], usize);

impl std::fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let place = self.0.get_mut(self.1..self.1 + text.len());
        place
            .ok_or(std::fmt::Error)?
            .copy_from_slice(text.as_bytes());
        self.1 += text.len();
        Ok(())
    }
}

fn advertisement(version: Version, addresses: &[IpAddr], auth: Auth) -> Advertisement<'_> {
    Advertisement {
        version,
        vrid: Vrid::new(51).unwrap(),
        priority: Priority::DEFAULT,
        interval: Interval::DEFAULT,
        addresses: Addresses::from(addresses),
        auth,
    }
}

#[test]
fn the_allocator_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn parsing_and_emitting_allocate_nothing() {
    let v4: Vec<IpAddr> = (0..255).map(|last| [10, 99, 0, last].into()).collect();
    let v6: Vec<IpAddr> = (0..255)
        .map(|last| [0xfe80, 0, 0, 0, 0, 0, 0, last].into())
        .collect();
    let password = Auth::Password(Password::truncated(b"serviceA_pass"));
    let kinds = [
        (Version::V2, &v4, Auth::None),
        (Version::V2, &v4, password),
        (Version::V2, &v4, Auth::Header),
        (Version::V3, &v4, Auth::None),
        (Version::V3, &v6, Auth::None),
    ];
    let mut buffer = [0; 8192];
    for (version, addresses, auth) in kinds {
        let source = match addresses[0] {
            IpAddr::V4(_) => IpAddr::from([10, 99, 0, 1]),
            IpAddr::V6(_) => "fe80::1".parse().unwrap(),
        };
        let envelope = Envelope::multicast(source);
        for count in [1, 255] {
            let sent = advertisement(version, &addresses[..count], auth);
            let counted = allocations(|| {
                let mode = ChecksumMode::MessageOnly;
                let length = sent.emit(&envelope, &mut buffer, mode).unwrap();
                let parsed = Advertisement::parse_packet(&buffer[..length], &envelope).unwrap();
                assert!(parsed.advertisement == sent);
                assert!(parsed.advertisement.addresses.same_set(sent.addresses));
                let mut line = Line([0; 8192], 0);
                write!(line, "{}", parsed.advertisement).unwrap();
            });
            assert_eq!(counted, 0, "{version} {source} {count}");
            // And what is rejected.
            buffer[6] ^= 1;
            let counted = allocations(|| {
                let error = Advertisement::parse(&buffer, &envelope).unwrap_err();
                let mut line = Line([0; 8192], 0);
                write!(line, "{error}").unwrap();
            });
            assert_eq!(counted, 0, "{version} {source} {count}, rejected");
        }
    }
}

#[test]
fn an_authentication_header_allocates_nothing() {
    let key = Password::truncated(b"viettq");
    let envelope = Envelope::multicast([10, 99, 0, 1].into());
    let addresses = [IpAddr::from([10, 99, 0, 100])];
    let sent = advertisement(Version::V2, &addresses, Auth::Header);
    let mut message = [0; 64];
    let mut packet = [0; 128];
    let counted = allocations(|| {
        let mut sender = ah::Authenticator::new(key);
        let mut receiver = ah::Authenticator::new(key);
        let length = sent
            .emit(&envelope, &mut message, ChecksumMode::MessageOnly)
            .unwrap();
        let length = sender
            .seal(&message[..length], &envelope, 1, &mut packet)
            .unwrap();
        let opened = receiver.open(&packet[..length]).unwrap();
        assert!(Advertisement::parse(opened.payload, &opened.envelope).unwrap() == sent);
        assert!(receiver.open(&packet[..length]).is_err());
    });
    assert_eq!(counted, 0);
}

#[test]
fn a_trailer_allocates_nothing() {
    use auth_hmac::{AntiReplay, Authenticator, Key, Mode, Settings};
    let keys = || {
        [
            Key::new(1, &[1; 32]).unwrap(),
            Key::new(2, &[2; 64]).unwrap(),
        ]
    };
    let settings = Settings {
        mode: Mode::Enforce,
        active_key: 2,
        anti_replay: AntiReplay::Time(Duration::from_secs(5)),
    };
    let addresses = [[0xfe80, 0, 0, 0, 0, 0, 0, 0x52].into()];
    let sent = advertisement(Version::V3, &addresses, Auth::None);
    let envelope = Envelope::multicast("fe80::1".parse().unwrap());
    let unix = Duration::from_secs(1_750_000_000);
    let mut buffer = [0; 128];
    let counted = allocations(|| {
        let mut sender = Authenticator::new(keys(), settings).unwrap();
        let mut receiver = Authenticator::new(keys(), settings).unwrap();
        let mode = ChecksumMode::PseudoHeader;
        let length = sent.emit(&envelope, &mut buffer, mode).unwrap();
        let sealer = sender.sealer(unix).unwrap();
        let length = sealer.seal(length, &envelope, &mut buffer).unwrap();
        let parsed = Advertisement::parse_packet(&buffer[..length], &envelope).unwrap();
        assert!(receiver.verify(&parsed, &envelope, unix).is_ok());
        assert!(receiver.verify(&parsed, &envelope, unix).is_err());
    });
    assert_eq!(counted, 0);
}
