//! Whose series they are.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use reqwest::header::HeaderValue;
use weir_series::Reason;

/// How many tenants there may be at once in a process. Each has requests of its own, so that many more would be many
/// more requests.
const TENANTS_MAX: usize = 10_000;

/// The longest name of a tenant, in bytes: three times what Mimir takes.
const TENANT_BYTES_MAX: usize = 450;

/// Someone whose series share requests with nobody else's.
pub(crate) struct Tenant {
    /// What tells it apart, above 0; never given twice.
    pub(crate) number: u64,
    /// Its name, a value of a payload: for the header, and for nothing that is shown.
    pub(crate) name: HeaderValue,
}

impl std::fmt::Debug for Tenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tenant").field("number", &self.number).finish_non_exhaustive()
    }
}

/// The tenants of all series that are known.
#[derive(Debug)]
pub(crate) struct Tenants {
    default: String,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    by_name: HashMap<String, Weak<Tenant>>,
    given: u64,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("tenants", &self.by_name.len()).finish_non_exhaustive()
    }
}

impl Tenants {
    /// No tenants yet; those that are not named are `default`.
    pub(crate) fn new(default: &str) -> Self {
        Self { default: default.to_owned(), known: Mutex::default() }
    }

    /// The tenant of a name; of an empty one, the default.
    ///
    /// # Errors
    /// It cannot stand in a header, or there are as many tenants as there may be.
    pub(crate) fn get(&self, name: &str) -> Result<Arc<Tenant>, Reason> {
        let name = if name.is_empty() { &self.default } else { name };
        let mut known = self.known.lock();
        if let Some(tenant) = known.by_name.get(name).and_then(Weak::upgrade) {
            return Ok(tenant);
        }
        if name.len() > TENANT_BYTES_MAX {
            return Err(Reason::InvalidTenant);
        }
        let header = HeaderValue::try_from(name).map_err(|_| Reason::InvalidTenant)?;
        if known.by_name.len() >= TENANTS_MAX {
            known.by_name.retain(|_, tenant| tenant.strong_count() > 0);
            if known.by_name.len() >= TENANTS_MAX {
                return Err(Reason::TenantLimit);
            }
        }
        known.given += 1;
        let tenant = Arc::new(Tenant { number: known.given, name: header });
        known.by_name.insert(name.to_owned(), Arc::downgrade(&tenant));
        Ok(tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_the_same_as_long_as_it_has_series_and_never_another() {
        let tenants = Tenants::new("nobody");
        let [a, again, b] = ["a", "a", "b"].map(|name| tenants.get(name).unwrap());
        assert!(Arc::ptr_eq(&a, &again) && a.number != b.number && a.number > 0);
        assert_eq!(tenants.get("").unwrap().name, "nobody");
        let number = a.number;
        drop((a, again));
        assert_ne!(tenants.get("a").unwrap().number, number);
        assert!(!format!("{tenants:?} {b:?}").contains("\"b\""), "{b:?}");
    }

    #[test]
    fn a_name_that_is_no_header_is_refused() {
        let tenants = Tenants::new("nobody");
        for name in ["a\nb", "a\0", &"a".repeat(TENANT_BYTES_MAX + 1)] {
            assert_eq!(tenants.get(name).unwrap_err(), Reason::InvalidTenant);
        }
        tenants.get("ä b/c|d").unwrap();
    }

    #[test]
    fn there_are_only_so_many_at_once() {
        let tenants = Tenants::new("nobody");
        let mut held: Vec<_> = (0..TENANTS_MAX).map(|n| tenants.get(&n.to_string()).unwrap()).collect();
        assert_eq!(tenants.get("one more").unwrap_err(), Reason::TenantLimit);
        tenants.get("7").unwrap();
        held.truncate(9);
        tenants.get("one more").unwrap();
        assert_eq!(tenants.known.lock().by_name.len(), 10);
    }
}
