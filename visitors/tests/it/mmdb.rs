//! Writes databases of one network in the MaxMind format (<https://maxmind.github.io/MaxMind-DB/>), for schemas that no public
//! test database has.

use std::net::Ipv4Addr;

/// A value of the data section.
pub(crate) enum Value<'a> {
    Text(&'a str),
    Short(u16),
    Number(u32),
    Long(u64),
    Single(f32),
    Map(Vec<(&'a str, Value<'a>)>),
    Texts(Vec<&'a str>),
}

/// A database that knows one IPv4 network of `bits` bits.
pub(crate) fn database(kind: &str, network: Ipv4Addr, bits: u32, record: &Value<'_>) -> Vec<u8> {
    // One node for each bit, of two records of 24 bits. The way that the network goes leads on to the next node, and from the
    // last one to the data, which begin 16 bytes behind the tree; the other way leads nowhere, which is the number of nodes.
    let mut file = Vec::new();
    for bit in 0..bits {
        let on = if bit + 1 == bits { bits + 16 } else { bit + 1 };
        let ways = if (u32::from(network) >> (31 - bit)) & 1 == 0 { [on, bits] } else { [bits, on] };
        ways.iter().for_each(|way| file.extend_from_slice(&way.to_be_bytes()[1..]));
    }
    file.extend_from_slice(&[0; 16]);
    write(&mut file, record);
    file.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    let metadata = Value::Map(vec![
        ("binary_format_major_version", Value::Short(2)),
        ("binary_format_minor_version", Value::Short(0)),
        ("build_epoch", Value::Long(1_750_000_000)),
        ("database_type", Value::Text(kind)),
        ("description", Value::Map(Vec::new())),
        ("ip_version", Value::Short(4)),
        ("languages", Value::Texts(Vec::new())),
        ("node_count", Value::Number(bits)),
        ("record_size", Value::Short(24)),
    ]);
    write(&mut file, &metadata);
    file
}

fn write(file: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Text(text) => {
            control(file, 2, text.len());
            file.extend_from_slice(text.as_bytes());
        }
        Value::Short(number) => {
            control(file, 5, 2);
            file.extend_from_slice(&number.to_be_bytes());
        }
        Value::Long(number) => {
            control(file, 9, 8);
            file.extend_from_slice(&number.to_be_bytes());
        }
        Value::Number(number) => {
            control(file, 6, 4);
            file.extend_from_slice(&number.to_be_bytes());
        }
        Value::Single(number) => {
            control(file, 15, 4);
            file.extend_from_slice(&number.to_be_bytes());
        }
        Value::Map(entries) => {
            control(file, 7, entries.len());
            for (key, value) in entries {
                write(file, &Value::Text(key));
                write(file, value);
            }
        }
        Value::Texts(texts) => {
            control(file, 11, texts.len());
            texts.iter().for_each(|text| write(file, &Value::Text(text)));
        }
    }
}

/// Three bits of type and five of size; types from 8 on and sizes from 29 on have a byte more.
fn control(file: &mut Vec<u8>, kind: u8, size: usize) {
    let (short_size, rest) = if size < 29 { (size as u8, None) } else { (29, Some((size - 29) as u8)) };
    if kind < 8 {
        file.push(kind << 5 | short_size);
    } else {
        file.push(short_size);
        file.push(kind - 7);
    }
    file.extend(rest);
}
