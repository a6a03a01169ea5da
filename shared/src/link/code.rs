//! Tracked-link codes: 12 base-62 characters that carry the link and the recipient, encrypted, so that no row per
//! recipient exists before a click.
//!
//! A code is FF1-AES-128 (NIST SP 800-38G) over `link_id << 25 | recipient_seq`, a 51-bit number in a space of 62^12
//! (71.45 bits). The unused 20.45 bits are the check: a guessed or mistyped code passes once in 1.43 million. That
//! detects tampering; it does not authenticate anyone, so a code must never serve as a credential. Links, recipients
//! and redirects live elsewhere.

use std::fmt;
use std::str::FromStr;

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Characters in a code.
pub const CODE_LENGTH: usize = 12;

/// First byte of every [`Tweak`]; a change of layout (bits, alphabet, length) takes the next number, so that old
/// codes decode to noise.
pub const FORMAT_VERSION: u8 = 1;

/// Digits first, then capitals, then small letters: the order of ASCII, so codes sort as their numbers do.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The value of each ASCII byte as a base-62 digit; [`NOT_A_DIGIT`] elsewhere.
const DIGIT_OF: [u8; 256] = digit_table();
const NOT_A_DIGIT: u8 = u8::MAX;

const LINK_BITS: u32 = 26;
const SEQ_BITS: u32 = 25;
const VALUE_LIMIT: u128 = 1 << (LINK_BITS + SEQ_BITS);

/// FF1 splits the 12 digits in two halves of 6, each a number below 62^6 (35.7 bits).
const HALF_DIGITS: usize = CODE_LENGTH / 2;
const HALF_MODULUS: u64 = 62_u64.pow(HALF_DIGITS as u32);
const ROUNDS: u8 = 10;

/// The constant first block of FF1's PRF for radix 62, 12 digits and an 8-byte tweak (SP 800-38G, algorithm 7, step 5).
const PRF_HEADER: [u8; 16] = [1, 2, 1, 0, 0, 62, 10, HALF_DIGITS as u8, 0, 0, 0, CODE_LENGTH as u8, 0, 0, 0, 8];

/// A tracked link of this deployment: 26 bits, so at most 67,108,863.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct LinkId(u32);

impl From<LinkId> for u32 {
    fn from(id: LinkId) -> Self {
        id.0
    }
}

impl TryFrom<u32> for LinkId {
    type Error = LinkIdOutOfRange;

    fn try_from(id: u32) -> Result<Self, LinkIdOutOfRange> {
        Self::new(id).ok_or(LinkIdOutOfRange)
    }
}

/// A number of more than 26 bits where a link id was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a link id has at most 26 bits")]
pub struct LinkIdOutOfRange;

impl LinkId {
    /// The highest link id.
    pub const MAX: Self = Self((1 << LINK_BITS) - 1);

    /// `None` if `id` needs more than 26 bits.
    pub const fn new(id: u32) -> Option<Self> {
        if id <= Self::MAX.0 { Some(Self(id)) } else { None }
    }

    /// The plain number, below 2^26.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// A recipient's place in its link's list: 25 bits, counted from 1. Zero stands for "everyone": QR codes, static
/// buttons, test sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecipientSeq(u32);

impl RecipientSeq {
    /// The sequence of a code that names no recipient.
    pub const SHARED: Self = Self(0);
    /// The highest sequence, 33,554,431.
    pub const MAX: Self = Self((1 << SEQ_BITS) - 1);

    /// `None` if `seq` needs more than 25 bits.
    pub const fn new(seq: u32) -> Option<Self> {
        if seq <= Self::MAX.0 { Some(Self(seq)) } else { None }
    }

    /// The plain number, below 2^25.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// True if the code was made for everyone rather than for one recipient.
    pub const fn is_shared(self) -> bool {
        self.0 == 0
    }
}

/// What a code is bound to besides its key: the format version and the workspace or domain. Under another tweak the
/// same characters are noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tweak([u8; 8]);

impl Tweak {
    /// Binds to a 7-byte workspace or domain id chosen by the caller.
    pub const fn new(scope: [u8; 7]) -> Self {
        let [a, b, c, d, e, f, g] = scope;
        Self([FORMAT_VERSION, a, b, c, d, e, f, g])
    }

    /// Binds to a workspace or domain named by a string: the first 7 bytes of its SHA-256.
    pub fn for_scope(name: &str) -> Self {
        let [a, b, c, d, e, f, g, ..] = <[u8; 32]>::from(Sha256::digest(name));
        Self::new([a, b, c, d, e, f, g])
    }
}

/// Twelve characters of `0-9A-Za-z`. The shape is checked, the content is not: only [`decode`] tells whether it was
/// ever issued.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code([u8; CODE_LENGTH]);

/// The text is not 12 characters of `0-9A-Za-z`. Answer as for an unknown code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a link code is {CODE_LENGTH} letters or digits")]
pub struct MalformedCode;

impl Code {
    /// Takes a path segment as it came; allocates nothing.
    pub fn parse(text: &str) -> Result<Self, MalformedCode> {
        let bytes: [u8; CODE_LENGTH] = text.as_bytes().try_into().map_err(|_| MalformedCode)?;
        if bytes.iter().all(u8::is_ascii_alphanumeric) { Ok(Self(bytes)) } else { Err(MalformedCode) }
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        // Both constructors admit ASCII alone, so the fallback is never taken.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    fn from_halves(halves: Halves) -> Self {
        let mut text = [b'0'; CODE_LENGTH];
        let (left, right) = text.split_at_mut(HALF_DIGITS);
        write_digits(left, halves.left);
        write_digits(right, halves.right);
        Self(text)
    }

    fn halves(&self) -> Halves {
        let (left, right) = self.0.split_at(HALF_DIGITS);
        Halves { left: read_digits(left), right: read_digits(right) }
    }
}

impl FromStr for Code {
    type Err = MalformedCode;

    fn from_str(text: &str) -> Result<Self, MalformedCode> {
        Self::parse(text)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({})", self.as_str())
    }
}

/// The number of a key generation. A link's row stores it, so that a code counts only under the key that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(pub u16);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One generation of the link key: AES-128, expanded, with FF1's constant block already encrypted. `Debug` shows the
/// generation only.
#[derive(Clone)]
pub struct LinkKey {
    kid: KeyId,
    cipher: Aes128,
    encrypted_header: [u8; 16],
}

impl LinkKey {
    /// Expands a 16-byte key (do it once per process).
    pub fn new(kid: KeyId, key: &[u8; 16]) -> Self {
        let cipher = Aes128::new(&(*key).into());
        let mut block = PRF_HEADER.into();
        cipher.encrypt_block(&mut block);
        Self { kid, cipher, encrypted_header: block.into() }
    }

    /// The generation of this key.
    pub const fn kid(&self) -> KeyId {
        self.kid
    }

    /// A secret of its own for another purpose.
    #[must_use]
    pub fn derive(&self, purpose: [u8; 16]) -> [u8; 16] {
        let mut block = purpose.into();
        self.cipher.encrypt_block(&mut block);
        block.into()
    }

    /// FF1's round function: AES-CBC-MAC over the constant block and (tweak, round, half), of which 96 bits are
    /// reduced modulo 62^6.
    fn round(&self, tweak: Tweak, round: u8, half: u64) -> u64 {
        let [_, _, _, n0, n1, n2, n3, n4] = half.to_be_bytes();
        let [t0, t1, t2, t3, t4, t5, t6, t7] = tweak.0;
        let mut block = [t0, t1, t2, t3, t4, t5, t6, t7, 0, 0, round, n0, n1, n2, n3, n4];
        for (byte, header) in block.iter_mut().zip(self.encrypted_header) {
            *byte ^= header;
        }
        let mut block = block.into();
        self.cipher.encrypt_block(&mut block);
        // Of the 128 bits FF1 takes the upper 96.
        reduce_96(u128::from_be_bytes(block.into()) >> 32)
    }
}

impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkKey").field("kid", &self.kid.0).finish_non_exhaustive()
    }
}

/// The code of one recipient of one link.
pub fn encode(key: &LinkKey, tweak: Tweak, link: LinkId, seq: RecipientSeq) -> Code {
    let value = u64::from(link.0) << SEQ_BITS | u64::from(seq.0);
    let mut halves = Halves { left: value / HALF_MODULUS, right: value % HALF_MODULUS };
    for round in 0..ROUNDS {
        let sum = (halves.left + key.round(tweak, round, halves.right)) % HALF_MODULUS;
        halves = Halves { left: halves.right, right: sum };
    }
    Code::from_halves(halves)
}

/// What a code says, or `None` if this key and tweak never made it. A code of another key or tweak still passes once
/// in 1.43 million, so the caller checks that the link exists, carries this key's id and has at least that many
/// recipients. No allocation, under a microsecond.
pub fn decode(key: &LinkKey, tweak: Tweak, code: &Code) -> Option<(LinkId, RecipientSeq)> {
    let mut halves = code.halves();
    for round in (0..ROUNDS).rev() {
        let difference = halves.right + HALF_MODULUS - key.round(tweak, round, halves.left);
        halves = Halves { left: difference % HALF_MODULUS, right: halves.left };
    }
    let value = u128::from(halves.left) * u128::from(HALF_MODULUS) + u128::from(halves.right);
    if value >= VALUE_LIMIT {
        return None;
    }
    let link = u32::try_from(value >> SEQ_BITS).ok()?;
    let seq = u32::try_from(value & u128::from(RecipientSeq::MAX.0)).ok()?;
    Some((LinkId(link), RecipientSeq(seq)))
}

/// A code together with what it decodes to under one key of a [`KeyRing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    /// The generation that made sense of the code.
    pub kid: KeyId,
    /// The link it names.
    pub link: LinkId,
    /// The recipient it names; [`RecipientSeq::SHARED`] for none.
    pub seq: RecipientSeq,
}

/// The link keys of a deployment, newest first. New codes use the newest; the others serve until the links made under
/// them have expired.
#[derive(Debug, Clone)]
pub struct KeyRing {
    newest: LinkKey,
    older: Vec<LinkKey>,
}

/// A key ring's configuration cannot be used; the deployment must not start. No variant carries key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// There is no key at all.
    #[error("no link key is configured")]
    Empty,
    /// An entry is not `<number up to 65535>:<32 hexadecimal digits>`.
    #[error("link key number {position} is not of the form `<kid>:<32 hexadecimal digits>`")]
    Entry {
        /// Which entry, counted from 1.
        position: usize,
    },
    /// Two entries share a key id.
    #[error("link key id {kid} occurs twice")]
    DuplicateKid {
        /// The id in question.
        kid: KeyId,
    },
}

impl KeyRing {
    /// A ring of one key.
    pub fn new(newest: LinkKey) -> Self {
        Self { newest, older: Vec::new() }
    }

    /// Reads `kid:hex32[,kid:hex32…]`, newest first; blanks around the entries do not matter.
    pub fn parse(config: &str) -> Result<Self, KeyRingError> {
        if config.trim().is_empty() {
            return Err(KeyRingError::Empty);
        }
        let mut keys: Vec<LinkKey> = Vec::new();
        for (index, entry) in config.split(',').enumerate() {
            let key = parse_key(entry.trim()).ok_or(KeyRingError::Entry { position: index + 1 })?;
            if keys.iter().any(|earlier| earlier.kid == key.kid) {
                return Err(KeyRingError::DuplicateKid { kid: key.kid });
            }
            keys.push(key);
        }
        let older = keys.split_off(1.min(keys.len()));
        let newest = keys.pop().ok_or(KeyRingError::Empty)?;
        Ok(Self { newest, older })
    }

    /// The key that new links are made under.
    pub const fn newest(&self) -> &LinkKey {
        &self.newest
    }

    /// The key of one generation, for issuing further codes of a link made under it.
    pub fn get(&self, kid: KeyId) -> Option<&LinkKey> {
        self.keys().find(|key| key.kid == kid)
    }

    /// A code under the newest key.
    pub fn encode(&self, tweak: Tweak, link: LinkId, seq: RecipientSeq) -> Code {
        encode(&self.newest, tweak, link, seq)
    }

    /// The first reading of a code, newest key first.
    pub fn decode(&self, tweak: Tweak, code: &Code) -> Option<Decoded> {
        self.readings(tweak, code).next()
    }

    /// Every reading of a code, newest key first. There is a second one about once in 1.43 million codes; the key id
    /// in the link's row decides.
    pub fn readings<'a>(&'a self, tweak: Tweak, code: &'a Code) -> impl Iterator<Item = Decoded> + 'a {
        self.keys().filter_map(move |key| {
            let (link, seq) = decode(key, tweak, code)?;
            Some(Decoded { kid: key.kid, link, seq })
        })
    }

    fn keys(&self) -> impl Iterator<Item = &LinkKey> {
        std::iter::once(&self.newest).chain(&self.older)
    }
}

impl FromStr for KeyRing {
    type Err = KeyRingError;

    fn from_str(config: &str) -> Result<Self, KeyRingError> {
        Self::parse(config)
    }
}

fn parse_key(entry: &str) -> Option<LinkKey> {
    let (kid, key_hex) = entry.split_once(':')?;
    let mut key = [0; 16];
    hex::decode_to_slice(key_hex, &mut key).ok()?;
    Some(LinkKey::new(KeyId(kid.parse().ok()?), &key))
}

/// The two halves of an FF1 state, each below [`HALF_MODULUS`].
#[derive(Clone, Copy)]
struct Halves {
    left: u64,
    right: u64,
}

/// `value` (below 2^96) modulo 62^6, in 64-bit steps: a remainder has 36 bits, so 28 more fit beside it.
const fn reduce_96(value: u128) -> u64 {
    let upper = (value >> 32) as u64 % HALF_MODULUS;
    let middle = (upper << 28 | (value >> 4) as u64 & 0x0fff_ffff) % HALF_MODULUS;
    (middle << 4 | value as u64 & 0xf) % HALF_MODULUS
}

fn write_digits(text: &mut [u8], mut number: u64) {
    for byte in text.iter_mut().rev() {
        *byte = ALPHABET[(number % 62) as usize];
        number /= 62;
    }
}

fn read_digits(text: &[u8]) -> u64 {
    text.iter().fold(0, |number, &byte| number * 62 + u64::from(DIGIT_OF[usize::from(byte)]))
}

const fn digit_table() -> [u8; 256] {
    let mut table = [NOT_A_DIGIT; 256];
    let mut digit = 0;
    while digit < ALPHABET.len() {
        table[ALPHABET[digit] as usize] = digit as u8;
        digit += 1;
    }
    table
}

#[cfg(test)]
mod tests;
