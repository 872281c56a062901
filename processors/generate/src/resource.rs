//! Who speaks: resource attributes and the Kafka key made of them.

use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::catalog::{Layer, SERVICES};
use crate::mix::{Dice, hash, hash_text};
use crate::world::{Life, World};

/// A resource and what its records are keyed by.
pub(crate) struct Identity {
    pub resource: Resource,
    /// 16 bytes of hash over the sorted attributes.
    pub key: Vec<u8>,
}

/// The resource of an instance, its attributes sorted by key.
pub(crate) fn identity(world: &World, life: &Life) -> Identity {
    let mut dice = Dice::new(hash(&[world.seed, life.serial, 1]));
    let (region, factory) =
        dice.pick(&[("ap-northeast-1", "kariya"), ("eu-central-1", "wolfsburg"), ("us-east-2", "dayton")]);
    let environment = dice.pick(&["production", "production", "production", "staging"]);
    let version = dice.pick(&["2.3.9", "2.4.0", "2.4.1"]);
    let instance = world.instance(life);
    let mut pairs = vec![
        ("cloud.region", region.to_owned()),
        ("deployment.environment.name", environment.to_owned()),
        ("factory.name", factory.to_owned()),
        ("service.version", version.to_owned()),
        ("service.instance.id", instance.clone()),
    ];
    if let Some(service) = SERVICES.get(life.service) {
        pairs.push(("service.name", service.name.to_owned()));
        pairs.push(("service.namespace", service.namespace.to_owned()));
        if service.layer == Layer::Wearable {
            pairs.push(("device_id", instance));
        }
    }
    pairs.sort_unstable();
    let key = key(&pairs);
    let attributes = pairs.into_iter().map(|(key, value)| text(key, value)).collect();
    Identity { resource: Resource { attributes, ..Resource::default() }, key }
}

fn key(pairs: &[(&str, String)]) -> Vec<u8> {
    let half = |seed| {
        let fold = |state, (key, value): &(&str, String)| hash_text(hash_text(state, key), value);
        pairs.iter().fold(seed, fold).to_be_bytes()
    };
    [half(1), half(2)].concat()
}

/// The scope of everything.
pub(crate) fn scope() -> InstrumentationScope {
    InstrumentationScope { name: "work.analysis".into(), version: "1.0.0".into(), ..InstrumentationScope::default() }
}

/// An attribute that is text.
pub(crate) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.into()))
}

/// An attribute that is a number.
pub(crate) fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, any_value::Value::IntValue(value))
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
