//! The name in a client's certificate.
//!
//! The certificate has been verified when it is read here, so it is well-formed; this still takes nothing for
//! granted.

use super::CertificateLogin;

const INTEGER: u8 = 0x02;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
const BMP_STRING: u8 = 0x1e;

/// The name's kinds, by the ends of their object identifiers, as RFC 4514 and RabbitMQ write them.
const KINDS: [(&[u8], &str); 12] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 4], "SN"),
    (&[0x55, 4, 5], "SERIALNUMBER"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 12], "T"),
    (&[0x55, 4, 42], "GN"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
];

/// A value and what is behind it, of the wanted tag.
fn take(der: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, value, rest) = any(der)?;
    (tag == wanted).then_some((value, rest))
}

/// The first value, with its tag, and what is behind it.
fn any(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let len = octets.iter().fold(0_u32, |len, &octet| len << 8 | u32::from(octet));
            (usize::try_from(len).ok()?, rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(len)?;
    Some((tag, value, rest))
}

/// The subject of a certificate, DER: a sequence of sets.
fn subject(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = take(certificate, SEQUENCE)?;
    let (mut rest, _) = take(certificate, SEQUENCE)?;
    if let Some((_, behind)) = take(rest, VERSION) {
        rest = behind;
    }
    let (_, rest) = take(rest, INTEGER)?;
    // The signature's algorithm, the issuer, the validity.
    let (_, rest) = take(rest, SEQUENCE)?;
    let (_, rest) = take(rest, SEQUENCE)?;
    let (_, rest) = take(rest, SEQUENCE)?;
    Some(take(rest, SEQUENCE)?.0)
}

/// The name that a client logs in as by its certificate.
pub(super) fn name(certificate: &[u8], login: CertificateLogin) -> Option<String> {
    let mut parts = subject(certificate)?;
    let mut written = Vec::new();
    let mut common_name = None;
    while !parts.is_empty() {
        let (mut set, rest) = take(parts, SET)?;
        parts = rest;
        let mut together = Vec::new();
        while !set.is_empty() {
            let (pair, rest) = take(set, SEQUENCE)?;
            set = rest;
            let (kind, value) = take(pair, OBJECT)?;
            let (tag, value, _) = any(value)?;
            let value = text(tag, value);
            let kind = match KINDS.iter().find(|(oid, _)| *oid == kind) {
                Some((_, kind)) => (*kind).to_owned(),
                None => dotted(kind),
            };
            if kind == "CN" {
                common_name = Some(value.clone());
            }
            together.push(format!("{kind}={}", escaped(&value)));
        }
        written.push(together.join("+"));
    }
    match login {
        CertificateLogin::CommonName => common_name,
        CertificateLogin::DistinguishedName => {
            written.reverse();
            Some(written.join(","))
        }
    }
}

fn text(tag: u8, value: &[u8]) -> String {
    if tag == BMP_STRING {
        let units: Vec<_> =
            value.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        return String::from_utf16_lossy(&units);
    }
    String::from_utf8_lossy(value).into_owned()
}

/// An object identifier as numbers.
fn dotted(oid: &[u8]) -> String {
    let mut numbers = Vec::new();
    let mut number = 0_u64;
    for &octet in oid {
        number = number.wrapping_shl(7) | u64::from(octet & 0x7f);
        if octet & 0x80 == 0 {
            if numbers.is_empty() {
                let first = (number / 40).min(2);
                numbers.extend([first, number - 40 * first]);
            } else {
                numbers.push(number);
            }
            number = 0;
        }
    }
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

/// A value as RFC 4514 wants it.
fn escaped(value: &str) -> String {
    let mut written = String::new();
    let last = value.chars().count().saturating_sub(1);
    for (place, character) in value.chars().enumerate() {
        let is_special = match character {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => true,
            '#' => place == 0,
            ' ' => place == 0 || place == last,
            _ => false,
        };
        if is_special {
            written.push('\\');
        }
        written.push(character);
    }
    written
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn certificate(parts: &[(DnType, &str)]) -> Vec<u8> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in parts {
            params.distinguished_name.push(kind.clone(), *value);
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn a_subject_is_written_as_rabbitmq_writes_it() {
        let der = certificate(&[
            (DnType::CountryName, "DE"),
            (DnType::OrganizationName, "Müller, Söhne"),
            (DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]), "me@example.org"),
            (DnType::CommonName, " orders#1"),
        ]);
        let whole = name(&der, CertificateLogin::DistinguishedName).unwrap();
        assert_eq!(
            whole,
            "CN=\\ orders#1,1.2.840.113549.1.9.1=me@example.org,O=Müller\\, Söhne,C=DE"
        );
        assert_eq!(name(&der, CertificateLogin::CommonName).unwrap(), " orders#1");
        let nobody = certificate(&[(DnType::OrganizationName, "Example")]);
        assert_eq!(name(&nobody, CertificateLogin::CommonName), None);
    }

    #[test]
    fn what_is_no_certificate_has_no_name() {
        let der = certificate(&[(DnType::CommonName, "orders")]);
        for cut in 0..der.len() {
            let _ = name(&der[..cut], CertificateLogin::DistinguishedName);
        }
        for place in 0..der.len() {
            for bit in 0..8 {
                let mut other = der.clone();
                other[place] ^= 1 << bit;
                let _ = name(&other, CertificateLogin::CommonName);
            }
        }
        assert_eq!(name(b"", CertificateLogin::CommonName), None);
        assert_eq!(name(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], CertificateLogin::CommonName), None);
    }
}
