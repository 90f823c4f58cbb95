//! The protocol header: the eight octets that a client sends first, once, and that a server sends
//! back only to refuse (spec section 4.2.2).

use thiserror::Error;

/// `AMQP`, a zero octet (historically the protocol id), and the version.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ProtocolHeader {
    /// The protocol id: 0 for AMQP 0-9-1; AMQP 1.0 uses 0, 2 and 3, AMQP 0-9 and older use 1.
    pub id: u8,
    /// Major version: 0.
    pub major: u8,
    /// Minor version: 9.
    pub minor: u8,
    /// Revision: 1.
    pub revision: u8,
}

impl ProtocolHeader {
    /// The header of AMQP 0-9-1.
    pub const AMQP_0_9_1: Self = Self { id: 0, major: 0, minor: 9, revision: 1 };

    /// Octets of a protocol header.
    pub const LEN: usize = 8;

    /// Reads a header from the front of `input`; `None` until all eight octets are there.
    ///
    /// ```
    /// use amqp091::protocol_header::ProtocolHeader;
    ///
    /// assert_eq!(ProtocolHeader::parse(b"AMQP\0\0\x09\x01"), Ok(Some(ProtocolHeader::AMQP_0_9_1)));
    /// assert_eq!(ProtocolHeader::parse(b"AMQ"), Ok(None));
    /// assert!(ProtocolHeader::parse(b"GET / HTTP/1.1").is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotAmqp`] at the first octet that no protocol header can have.
    pub fn parse(input: &[u8]) -> Result<Option<Self>, NotAmqp> {
        if input.iter().zip(b"AMQP").any(|(found, expected)| found != expected) {
            let mut found = [0; 8];
            let len = input.len().min(8);
            found[..len].copy_from_slice(&input[..len]);
            return Err(NotAmqp { found, len });
        }
        match input.get(4..8) {
            Some(&[id, major, minor, revision]) => Ok(Some(Self { id, major, minor, revision })),
            _ => Ok(None),
        }
    }

    /// The header's eight octets.
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        [b'A', b'M', b'Q', b'P', self.id, self.major, self.minor, self.revision]
    }
}

impl std::fmt::Display for ProtocolHeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AMQP {}-{}-{}-{}", self.id, self.major, self.minor, self.revision)
    }
}

/// The octets can't be the start of a protocol header.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("no AMQP protocol header: the peer began with \"{}\"", self.found().escape_ascii())]
pub struct NotAmqp {
    found: [u8; 8],
    len: usize,
}

impl NotAmqp {
    /// What the peer began with: its first octets, eight at most.
    pub fn found(&self) -> &[u8] {
        &self.found[..self.len]
    }
}
