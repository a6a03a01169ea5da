//! What the HTTP functions have in common: errors as problem+json, bearer keys, bodies that are checked to the last field.

pub mod auth;
pub mod body;
pub mod params;
pub mod problem;
pub mod viewer;

/// The most rows of a list.
pub const MAX_LIMIT: usize = 200;

/// Rows of a list unless asked otherwise.
pub const DEFAULT_LIMIT: usize = 50;

/// Reads a `limit` parameter.
///
/// # Errors
/// A problem that names the parameter.
pub fn limit(given: Option<&str>) -> Result<usize, problem::Problem> {
    let Some(given) = given else {
        return Ok(DEFAULT_LIMIT);
    };
    match given.parse() {
        Ok(limit) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
        _ => Err(problem::Problem::invalid("/limit", format!("must be a number from 1 to {MAX_LIMIT}"))),
    }
}
