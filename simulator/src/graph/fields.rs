//! Graph's `fields` parameter: names separated by commas, each with fields of its own in braces.
//! Modifiers such as `.limit(5)` are read over.

use serde_json::{Map, Value};

use crate::graph::error::GraphError;

/// One wanted field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    name: String,
    /// Empty if the client leaves the choice to Graph.
    children: Vec<Field>,
}

/// Reads a `fields` parameter. A top-level name outside `known` is Graph's "nonexisting field" error.
pub(crate) fn parse(text: &str, node_type: &str, known: &[&str]) -> Result<Vec<Field>, GraphError> {
    let mut rest = text;
    let fields = list(&mut rest);
    if !rest.is_empty() {
        return Err(GraphError::invalid(format!("Syntax error in fields at \"{rest}\".")));
    }
    match fields.iter().find(|field| !known.contains(&field.name.as_str())) {
        Some(Field { name, .. }) => {
            let reason = format!("Tried accessing nonexisting field ({name}) on node type ({node_type})");
            Err(GraphError::invalid(reason))
        }
        None => Ok(fields),
    }
}

fn list(rest: &mut &str) -> Vec<Field> {
    let mut fields = Vec::new();
    loop {
        let end = rest.find([',', '{', '}']).unwrap_or(rest.len());
        let (written, after) = rest.split_at(end);
        *rest = after;
        let name = written.split('.').next().unwrap_or_default().trim().to_owned();
        let mut children = Vec::new();
        if let Some(inner) = rest.strip_prefix('{') {
            *rest = inner;
            children = list(rest);
            *rest = rest.strip_prefix('}').unwrap_or(rest);
        }
        if !name.is_empty() {
            fields.push(Field { name, children });
        }
        match rest.strip_prefix(',') {
            Some(after) => *rest = after,
            None => return fields,
        }
    }
}

/// A node with nothing but its wanted fields and its `id`. Fields of an edge (`{"data": [..]}`) are those of its nodes.
pub(crate) fn choose(node: &Value, fields: &[Field]) -> Value {
    let Value::Object(all) = node else { return node.clone() };
    if let (1, Some(Value::Array(data))) = (all.len(), all.get("data")) {
        let data: Vec<Value> = data.iter().map(|node| choose(node, fields)).collect();
        return serde_json::json!({ "data": data });
    }
    let mut chosen = Map::new();
    for Field { name, children } in fields {
        if let Some(value) = all.get(name) {
            let value = if children.is_empty() { value.clone() } else { choose(value, children) };
            chosen.insert(name.clone(), value);
        }
    }
    if let Some(id) = all.get("id") {
        chosen.insert("id".to_owned(), id.clone());
    }
    Value::Object(chosen)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nested_fields_choose_inside_edges_and_ids_always_come() {
        let node = json!({ "id": "1", "a": 1, "b": 2, "e": { "data": [{ "id": "2", "x": 1, "y": 2 }] } });
        let fields = parse("a, e.limit(5){x},", "T", &["a", "b", "e"]).expect("valid");
        assert_eq!(choose(&node, &fields), json!({ "a": 1, "e": { "data": [{ "x": 1, "id": "2" }] }, "id": "1" }));
    }

    #[test]
    fn fields_that_do_not_exist_are_refused_by_name() {
        assert!(parse("a,zz", "T", &["a"]).is_err());
        assert!(parse("a}b", "T", &["a"]).is_err());
    }
}
