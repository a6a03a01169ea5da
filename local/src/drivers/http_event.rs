//! HTTP requests as API Gateway's payload 2.0, and its responses as HTTP.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, request::Parts};
use jiff::{Timestamp, tz::TimeZone};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::engines::ACCOUNT;

/// What an event says about a request besides the request itself.
pub(super) struct Call<'a> {
    pub(super) route_key: &'a str,
    pub(super) parameters: &'a BTreeMap<String, String>,
    pub(super) request_id: &'a str,
    pub(super) peer: SocketAddr,
    pub(super) now: Timestamp,
}

/// The `ApiGatewayV2httpRequest` JSON for a request.
pub(super) fn event(parts: &Parts, body: &[u8], call: &Call<'_>) -> Value {
    let text = |name: &HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(&header::HOST).or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
    let host = host.unwrap_or("localhost");
    let domain = host.split(':').next().unwrap_or(host);
    let source_ip = source_ip(call.peer, &parts.headers);
    let path = parts.uri.path();
    let query = parts.uri.query().unwrap_or_default();
    let mut event = json!({
        "version": "2.0",
        "routeKey": call.route_key,
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers(&parts.headers, source_ip, host),
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "local",
            "domainName": domain,
            "domainPrefix": domain.split('.').next(),
            "http": {
                "method": parts.method.as_str(),
                "path": path,
                "protocol": format!("{:?}", parts.version),
                "sourceIp": source_ip.to_string(),
                "userAgent": text(&header::USER_AGENT).unwrap_or_default(),
            },
            "requestId": call.request_id,
            "routeKey": call.route_key,
            "stage": "$default",
            "time": call.now.to_zoned(TimeZone::UTC).strftime("%d/%b/%Y:%H:%M:%S %z").to_string(),
            "timeEpoch": call.now.as_millisecond(),
        },
        "isBase64Encoded": false,
    });
    let Some(fields) = event.as_object_mut() else { return event };
    if let Some(cookies) = cookies(&parts.headers) {
        fields.insert("cookies".into(), cookies);
    }
    if !query.is_empty() {
        fields.insert("queryStringParameters".into(), query_parameters(query));
    }
    if !call.parameters.is_empty() {
        let decoded = call.parameters.iter().map(|(name, value)| (name.clone(), decode(value).into()));
        fields.insert("pathParameters".into(), Value::Object(decoded.collect()));
    }
    if !body.is_empty() {
        let text = is_text(text(&header::CONTENT_TYPE)).then(|| str::from_utf8(body).ok()).flatten();
        fields.insert("isBase64Encoded".into(), text.is_none().into());
        let body = text.map_or_else(|| BASE64_STANDARD.encode(body), ToOwned::to_owned);
        fields.insert("body".into(), body.into());
    }
    event
}

/// The caller. A proxy on the same machine is believed when it says whom it speaks for; nobody else is.
fn source_ip(peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
    let peer = peer.ip().to_canonical();
    if !peer.is_loopback() {
        return peer;
    }
    let forwarded = headers.get_all("x-forwarded-for").iter().next_back();
    let nearest = forwarded.and_then(|value| value.to_str().ok()).and_then(|value| value.rsplit(',').next());
    nearest.and_then(|address| address.trim().parse().ok()).unwrap_or(peer)
}

/// Lower-case names, repeated values joined by commas, and what the gateway adds.
fn headers(headers: &HeaderMap, source_ip: IpAddr, host: &str) -> Value {
    let mut joined = BTreeMap::<String, String>::new();
    for (name, value) in headers.iter().filter(|(name, _)| **name != header::COOKIE) {
        let value = String::from_utf8_lossy(value.as_bytes());
        joined
            .entry(name.as_str().to_owned())
            .and_modify(|all| {
                all.push(',');
                all.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    joined.entry("host".to_owned()).or_insert_with(|| host.to_owned());
    joined.entry("x-forwarded-for".to_owned()).or_insert_with(|| source_ip.to_string());
    joined.entry("x-forwarded-proto".to_owned()).or_insert_with(|| "http".to_owned());
    let port = host.rsplit_once(':').map_or("80", |(_, port)| port);
    joined.entry("x-forwarded-port".to_owned()).or_insert_with(|| port.to_owned());
    joined.into_iter().collect::<BTreeMap<_, _>>().into_iter().map(|(name, value)| (name, Value::from(value))).collect()
}

fn cookies(headers: &HeaderMap) -> Option<Value> {
    let pairs: Vec<&str> = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .collect();
    (!pairs.is_empty()).then(|| pairs.into())
}

fn query_parameters(query: &str) -> Value {
    let mut parameters = BTreeMap::<String, String>::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode(&value.replace('+', " "));
        parameters
            .entry(decode(&name.replace('+', " ")))
            .and_modify(|all| {
                all.push(',');
                all.push_str(&value);
            })
            .or_insert(value);
    }
    parameters.into_iter().map(|(name, value)| (name, Value::from(value))).collect()
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The media types whose bodies an HTTP API hands over as text; forms are not among them.
fn is_text(content_type: Option<&str>) -> bool {
    let essence =
        content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim().to_ascii_lowercase();
    essence.starts_with("text/")
        || ["application/json", "application/xml", "application/javascript"].contains(&essence.as_str())
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
}

/// Why a function's response is not one that API Gateway understands; the caller gets a 500.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum ResponseError {
    #[error("the status code is not valid")]
    Status,
    #[error("the header {0} is not valid")]
    Header(String),
    #[error("the body is not base64")]
    Body,
}

/// The HTTP response that a function's response stands for.
pub(super) fn response(value: &Value) -> Result<Response<Bytes>, ResponseError> {
    let Some(fields) = value.as_object().filter(|fields| fields.contains_key("statusCode")) else {
        // Without a status code the whole value is the body of a successful JSON answer.
        let body = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        let mut response = Response::new(Bytes::from(body));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        return Ok(response);
    };
    let status = fields.get("statusCode").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
    let status = status.and_then(|status| StatusCode::from_u16(status).ok()).ok_or(ResponseError::Status)?;
    let mut response = Response::new(body(fields)?);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in fields.get("headers").and_then(Value::as_object).into_iter().flatten() {
        headers.insert(header_name(name)?, header_value(name, value)?);
    }
    for (name, values) in fields.get("multiValueHeaders").and_then(Value::as_object).into_iter().flatten() {
        // lambda_http writes both kinds with the same content.
        let name = header_name(name)?;
        headers.remove(&name);
        for value in values.as_array().into_iter().flatten() {
            headers.append(name.clone(), header_value(name.as_str(), value)?);
        }
    }
    for cookie in fields.get("cookies").and_then(Value::as_array).into_iter().flatten() {
        headers.append(header::SET_COOKIE, header_value("set-cookie", cookie)?);
    }
    Ok(response)
}

fn body(fields: &Map<String, Value>) -> Result<Bytes, ResponseError> {
    let body = match fields.get("body") {
        None | Some(Value::Null) => return Ok(Bytes::new()),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    if fields.get("isBase64Encoded").and_then(Value::as_bool).unwrap_or_default() {
        return BASE64_STANDARD.decode(body).map(Bytes::from).map_err(|_| ResponseError::Body);
    }
    Ok(body.into())
}

fn header_name(name: &str) -> Result<HeaderName, ResponseError> {
    name.parse().map_err(|_| ResponseError::Header(name.to_owned()))
}

fn header_value(name: &str, value: &Value) -> Result<HeaderValue, ResponseError> {
    let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    HeaderValue::from_str(&text).map_err(|_| ResponseError::Header(name.to_owned()))
}
