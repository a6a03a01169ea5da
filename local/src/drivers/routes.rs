//! The routes of an HTTP API: which function a method and a path belong to, by the rules of API Gateway.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::Function;

/// Routes such as `GET /l/{code}`, `ANY /v1/{proxy+}` and `$default`.
#[derive(Clone, Default)]
pub struct Routes {
    routes: Vec<Route>,
}

#[derive(Clone)]
struct Route {
    /// As the event's `routeKey` has it.
    key: String,
    /// `None` takes every method.
    method: Option<String>,
    /// `None` is `$default`, which takes every path.
    path: Option<Vec<Segment>>,
    function: Arc<dyn Function>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    // In the order of their precedence.
    Literal(String),
    Variable(String),
    Greedy(String),
}

/// A route that takes the request.
pub(super) struct Match<'a> {
    pub(super) key: &'a str,
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) function: &'a Arc<dyn Function>,
}

impl Routes {
    /// No routes: everything is not found.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a route. The method may be `ANY`; the path may have variables (`{code}`) and end with a greedy one
    /// (`{proxy+}`, which takes at least one segment), or be `$default`.
    #[must_use]
    pub fn route(mut self, method: &str, path: &str, function: Arc<dyn Function>) -> Self {
        let any = method == "ANY";
        let (key, path) = if path == "$default" {
            ("$default".to_owned(), None)
        } else {
            (format!("{method} {path}"), Some(segments(path).map(Segment::parse).collect()))
        };
        self.routes.push(Route { key, method: (!any).then(|| method.to_owned()), path, function });
        self
    }

    /// The most specific route: literal before variable before greedy, a method before `ANY`, `$default` last.
    pub(super) fn find(&self, method: &str, path: &str) -> Option<Match<'_>> {
        let matching = self.routes.iter().filter_map(|route| {
            if route.method.as_deref().is_some_and(|wanted| wanted != method) {
                return None;
            }
            let parameters = match &route.path {
                Some(pattern) => matches(pattern, path)?,
                None => BTreeMap::new(),
            };
            Some((route, parameters))
        });
        let best = matching.min_by_key(|(route, _)| (route.path.is_none(), kinds(route), route.method.is_none()));
        best.map(|(route, parameters)| Match { key: &route.key, parameters, function: &route.function })
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.routes.iter().map(|route| &route.key)).finish()
    }
}

impl Segment {
    fn parse(text: &str) -> Self {
        match text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            None => Self::Literal(text.to_owned()),
            Some(name) => match name.strip_suffix('+') {
                None => Self::Variable(name.to_owned()),
                Some(name) => Self::Greedy(name.to_owned()),
            },
        }
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

/// Literal, variable or greedy, segment by segment; the smallest is the most specific.
fn kinds(route: &Route) -> Vec<u8> {
    let kind = |segment: &Segment| match segment {
        Segment::Literal(_) => 0,
        Segment::Variable(_) => 1,
        Segment::Greedy(_) => 2,
    };
    route.path.iter().flatten().map(kind).collect()
}

fn matches(pattern: &[Segment], path: &str) -> Option<BTreeMap<String, String>> {
    let mut parameters = BTreeMap::new();
    let mut rest = segments(path);
    for segment in pattern {
        match segment {
            Segment::Literal(text) => {
                if rest.next()? != text {
                    return None;
                }
            }
            Segment::Variable(name) => {
                let value = rest.next().filter(|value| !value.is_empty())?;
                parameters.insert(name.clone(), value.to_owned());
            }
            Segment::Greedy(name) => {
                let value = rest.by_ref().collect::<Vec<_>>().join("/");
                if value.is_empty() {
                    return None;
                }
                parameters.insert(name.clone(), value);
            }
        }
    }
    rest.next().is_none().then_some(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::from_fn;

    #[test]
    fn the_most_specific_route_is_taken() {
        let function = || from_fn(|_: serde_json::Value| async { Ok::<_, String>(()) });
        let mut routes = Routes::new();
        for (method, path) in [
            ("ANY", "$default"),
            ("ANY", "/v1/{proxy+}"),
            ("GET", "/v1/{proxy+}"),
            ("GET", "/v1/{kind}/{id}"),
            ("GET", "/v1/campaigns/{id}"),
            ("ANY", "/l/{code}"),
            ("POST", "/webhooks/meta"),
            ("GET", "/"),
        ] {
            routes = routes.route(method, path, function());
        }
        let key = |method: &str, path: &str| routes.find(method, path).unwrap().key.to_owned();
        assert_eq!(key("GET", "/v1/campaigns/7"), "GET /v1/campaigns/{id}");
        assert_eq!(key("GET", "/v1/links/7"), "GET /v1/{kind}/{id}");
        assert_eq!(key("GET", "/v1/a/b/c"), "GET /v1/{proxy+}");
        assert_eq!(key("PUT", "/v1/campaigns/7"), "ANY /v1/{proxy+}");
        assert_eq!(key("HEAD", "/l/abc"), "ANY /l/{code}");
        assert_eq!(key("GET", "/l/"), "$default");
        assert_eq!(key("GET", "/webhooks/meta"), "$default");
        assert_eq!(key("GET", "/"), "GET /");
        let found = routes.find("GET", "/v1/a/b/c").unwrap().parameters;
        assert_eq!(found["proxy"], "a/b/c");
        assert!(Routes::new().find("GET", "/").is_none());
    }
}
