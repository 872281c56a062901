use super::*;

/// A value of MaxMind's format.
enum Datum {
    Text(&'static str),
    Uint16(u16),
    Uint32(u32),
    Uint64(u64),
    Double(f64),
    Map(Vec<(&'static str, Datum)>),
    List(Vec<Datum>),
}

use Datum::{Double, List, Map, Text, Uint16, Uint32, Uint64};

/// Writes a value: a byte of type and size, a second one for types above seven, then what it holds.
fn write(datum: &Datum, out: &mut Vec<u8>) {
    let mut head = |kind: u8, size: usize| {
        let size = u8::try_from(size).unwrap();
        match (kind, size) {
            (8.., 0..29) => out.extend([size, kind - 7]),
            (_, 0..29) => out.push(kind << 5 | size),
            // From 29 on, what is over it stands in a byte of its own.
            _ => out.extend([kind << 5 | 29, size - 29]),
        }
    };
    match datum {
        Text(text) => {
            head(2, text.len());
            out.extend(text.as_bytes());
        }
        Double(number) => {
            head(3, 8);
            out.extend(number.to_be_bytes());
        }
        Uint16(number) => {
            head(5, 2);
            out.extend(number.to_be_bytes());
        }
        Uint64(number) => {
            head(9, 8);
            out.extend(number.to_be_bytes());
        }
        Uint32(number) => {
            head(6, 4);
            out.extend(number.to_be_bytes());
        }
        Map(pairs) => {
            head(7, pairs.len());
            for (key, value) in pairs {
                write(&Text(key), out);
                write(value, out);
            }
        }
        List(values) => {
            head(11, values.len());
            values.iter().for_each(|value| write(value, out));
        }
    }
}

/// A database that knows one network of IPv4, 203.0.113.0/24.
fn database(entry: &Datum) -> Vec<u8> {
    let bits = (0..24).map(|bit| (0xcb_00_71_00_u32 >> (31 - bit)) & 1);
    let nodes = 24_u32;
    let mut out = Vec::new();
    for (at, bit) in (0..).zip(bits) {
        // The last node's record leads to the data, which begins behind 16 bytes.
        let next = if at + 1 == nodes { nodes + 16 } else { at + 1 };
        let records = if bit == 1 { [nodes, next] } else { [next, nodes] };
        records.iter().for_each(|record| out.extend(&record.to_be_bytes()[1..]));
    }
    out.extend([0; 16]);
    write(entry, &mut out);
    out.extend(b"\xab\xcd\xefMaxMind.com");
    let metadata = Map(vec![
        ("node_count", Uint32(nodes)),
        ("record_size", Uint16(24)),
        ("ip_version", Uint16(4)),
        ("database_type", Text("Test")),
        ("languages", List(vec![Text("en")])),
        ("binary_format_major_version", Uint16(2)),
        ("binary_format_minor_version", Uint16(0)),
        ("build_epoch", Uint64(1)),
        ("description", Map(vec![("en", Text("Test"))])),
    ]);
    write(&metadata, &mut out);
    out
}

fn known(geo: &Geo, address: &str) -> Vec<(&'static str, Value<'static>)> {
    let mut out = Vec::new();
    geo.add(address.parse().unwrap(), &mut out);
    out
}

#[test]
fn a_city_and_a_network_are_told_under_the_names_of_the_conventions() {
    let city = database(&Map(vec![
        ("continent", Map(vec![("code", Text("AS"))])),
        ("country", Map(vec![("iso_code", Text("JP"))])),
        ("subdivisions", List(vec![Map(vec![("iso_code", Text("13"))])])),
        ("city", Map(vec![("names", Map(vec![("en", Text("Tokyo"))]))])),
        ("location", Map(vec![("latitude", Double(35.5)), ("longitude", Double(139.5))])),
    ]));
    let geo = Geo::read(city).unwrap();
    let want = [
        ("geo.continent.code", "AS".into()),
        ("geo.country.iso_code", "JP".into()),
        ("geo.region.iso_code", "JP-13".into()),
        ("geo.locality.name", "Tokyo".into()),
        ("geo.location.lat", Value::Double(35.5)),
        ("geo.location.lon", Value::Double(139.5)),
    ];
    assert_eq!(known(&geo, "203.0.113.7"), want);
    assert_eq!(known(&geo, "203.0.114.7"), []);
    let network = database(&Map(vec![
        ("autonomous_system_number", Uint32(64_500)),
        ("autonomous_system_organization", Text("Example")),
    ]));
    let want = [("as.organization.name", "Example".into()), ("as.number", Value::Int(64_500))];
    assert_eq!(known(&Geo::read(network).unwrap(), "203.0.113.255"), want);
}

/// MaxMind's own databases.
fn test_data(name: &str) -> Vec<u8> {
    std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/maxmind").join(name)).unwrap()
}

#[test]
fn maxminds_test_databases_are_read_as_maxminds_library_reads_them() {
    let city = Geo::read(test_data("GeoLite2-City-Test.mmdb")).unwrap();
    let place = |codes: [&'static str; 3], city: Option<&'static str>, lat: f64, lon: f64| {
        let names = ["geo.continent.code", "geo.country.iso_code", "geo.region.iso_code"];
        let known = names.into_iter().zip(codes).filter(|(_, code)| !code.is_empty());
        let mut place: Vec<_> = known.map(|(name, code)| (name, Value::from(code))).collect();
        place.extend(city.map(|city| ("geo.locality.name", Value::from(city))));
        place.extend([("geo.location.lat", Value::Double(lat)), ("geo.location.lon", Value::Double(lon))]);
        place
    };
    for (address, want) in [
        ("81.2.69.142", place(["EU", "GB", "GB-ENG"], Some("London"), 51.5142, -0.0931)),
        ("::ffff:81.2.69.142", place(["EU", "GB", "GB-ENG"], Some("London"), 51.5142, -0.0931)),
        ("89.160.20.112", place(["EU", "SE", "SE-E"], Some("Linköping"), 58.4167, 15.6167)),
        ("216.160.83.56", place(["NA", "US", "US-WA"], Some("Milton"), 47.2513, -122.3149)),
        ("2001:218::1", place(["AS", "JP", ""], None, 35.68536, 139.75309)),
        ("127.0.0.1", Vec::new()),
    ] {
        assert_eq!(known(&city, address), want, "{address}");
    }
    let network = Geo::read(test_data("GeoLite2-ASN-Test.mmdb")).unwrap();
    for (address, number, name) in [("1.128.0.1", 1221, "Telstra Pty Ltd"), ("2600:6000::1", 237, "Merit Network Inc.")]
    {
        assert_eq!(known(&network, address), [("as.organization.name", name.into()), ("as.number", number.into())]);
    }
    assert_eq!(known(&network, "10.0.0.1"), []);
}

/// Guards: a database that is broken in any way that MaxMind knows of ends nothing, and tells nothing wrong.
#[test]
fn maxminds_broken_databases_are_refused_or_say_nothing() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/maxmind");
    let (mut refused, mut silent) = (0, 0);
    for file in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if file.to_str().unwrap().ends_with("-Test.mmdb") {
            continue;
        }
        let Ok(geo) = Geo::read(std::fs::read(&file).unwrap()) else {
            refused += 1;
            continue;
        };
        for address in ["81.2.69.142", "1.1.1.1", "2001:218::1", "::", "ffff::1"] {
            let told = known(&geo, address);
            assert!(told.iter().all(|(name, _)| !name.starts_with("geo.location")), "{}: {told:?}", file.display());
        }
        silent += 1;
    }
    assert!(refused > 0 && silent > 0 && refused + silent == 10, "{refused} refused, {silent} silent");
}

#[test]
fn what_is_no_database_is_refused_and_a_broken_one_says_nothing() {
    assert!(Geo::read(b"no database".to_vec()).is_err());
    assert!(Geo::read(Vec::new()).is_err());
    let mut broken = database(&Map(vec![("country", Text("not a map"))]));
    assert_eq!(known(&Geo::read(broken.clone()).unwrap(), "203.0.113.7"), []);
    broken[160] = 0xff;
    assert_eq!(known(&Geo::read(broken).unwrap(), "203.0.113.7"), []);
    // IPv6 in a database of IPv4.
    let geo = Geo::read(database(&Map(vec![]))).unwrap();
    assert_eq!(known(&geo, "2001:db8::1"), []);
}
