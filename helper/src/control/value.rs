//! Between requests and replies as JSON and as types.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{HelperError, Result};

/// The parameters of a request; none are `{}`.
///
/// # Errors
/// `request/bad-params`.
pub fn params<T: DeserializeOwned>(given: Value) -> Result<T> {
    let given = if given.is_null() { Value::Object(Default::default()) } else { given };
    serde_json::from_value(given).map_err(|error| HelperError::new("request/bad-params", error.to_string()))
}

/// A reply's body; nothing becomes `{}`.
pub fn json(value: &impl Serialize) -> Result<Value> {
    match serde_json::to_value(value) {
        Ok(Value::Null) => nothing(),
        Ok(value) => Ok(value),
        Err(error) => Err(HelperError::new("helper/bug", format!("unwritable reply: {error}"))),
    }
}

pub fn nothing() -> Result<Value> {
    Ok(Value::Object(Default::default()))
}

/// A panic is our fault, but the devices are the operator's: the request fails and the run can still be undone.
pub fn panicked() -> HelperError {
    HelperError::new("helper/bug", "the request panicked; stderr says where")
        .suggest("report it with the journal of the run")
}
