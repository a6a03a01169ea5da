//! Functions behind the HTTP API.

use std::{sync::Arc, time::Duration};

use axum::{Router, routing::any};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use local::drivers::{Function, HttpGateway, HttpLimits, Routes, Running, from_fn, from_http};
use serde_json::{Value, json};
use tokio::net::TcpListener;

async fn start(gateway: HttpGateway) -> (String, Running) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (url, gateway.start(listener))
}

async fn request(request: http::request::Builder, body: &[u8]) -> (StatusCode, HeaderMap, Bytes) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
    let (parts, body) = client.request(request).await.unwrap().into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
}

fn to(method: Method, url: &str, path: &str) -> http::request::Builder {
    http::Request::builder().method(method).uri(format!("{url}{path}"))
}

/// A function that answers with the event it was given.
fn echo() -> Arc<dyn Function> {
    from_fn(|event: Value| async move { Ok::<_, String>(json!({ "statusCode": 200, "body": event.to_string() })) })
}

#[tokio::test]
async fn a_request_becomes_the_event_of_an_http_api() {
    let (url, running) = start(HttpGateway::new(Routes::new().route("POST", "/v1/{kind}/{id}", echo()))).await;
    let builder = to(Method::POST, &url, "/v1/a%20b/7?x=1&y=two%20words&x=3")
        .header("content-type", "application/json; charset=utf-8")
        .header("User-Agent", "test/1")
        .header("X-Twice", "a")
        .header("X-Twice", "b")
        .header("Cookie", "one=1; two=2")
        .header("x-forwarded-for", "203.0.113.7, 198.51.100.9");
    let (status, _, body) = request(builder, br#"{"k":"v"}"#).await;
    running.drain().await;
    assert_eq!(status, StatusCode::OK);
    let mut event: Value = serde_json::from_slice(&body).unwrap();
    for (place, name) in [
        ("/requestContext", "requestId"),
        ("/requestContext", "time"),
        ("/requestContext", "timeEpoch"),
        ("/headers", "host"),
        ("/headers", "x-forwarded-port"),
    ] {
        event.pointer_mut(place).unwrap().as_object_mut().unwrap().remove(name).unwrap();
    }
    let expected = json!({
        "version": "2.0",
        "routeKey": "POST /v1/{kind}/{id}",
        "rawPath": "/v1/a%20b/7",
        "rawQueryString": "x=1&y=two%20words&x=3",
        "cookies": ["one=1", "two=2"],
        "headers": {
            "content-length": "9",
            "content-type": "application/json; charset=utf-8",
            "user-agent": "test/1",
            "x-forwarded-for": "203.0.113.7, 198.51.100.9",
            "x-forwarded-proto": "http",
            "x-twice": "a,b",
        },
        "queryStringParameters": {"x": "1,3", "y": "two words"},
        "pathParameters": {"kind": "a b", "id": "7"},
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": "127.0.0.1",
            "domainPrefix": "127",
            "http": {
                "method": "POST",
                "path": "/v1/a%20b/7",
                "protocol": "HTTP/1.1",
                "sourceIp": "198.51.100.9",
                "userAgent": "test/1",
            },
            "routeKey": "POST /v1/{kind}/{id}",
            "stage": "$default",
        },
        "isBase64Encoded": false,
        "body": r#"{"k":"v"}"#,
    });
    assert_eq!(event, expected);
}

#[tokio::test]
async fn a_body_that_is_not_text_is_base64() {
    let (url, running) = start(HttpGateway::new(Routes::new().route("ANY", "$default", echo()))).await;
    for (content_type, body, expected) in [
        ("application/octet-stream", &b"\x00\xff"[..], json!([true, "AP8="])),
        ("application/x-www-form-urlencoded", b"a=1", json!([true, "YT0x"])),
        ("application/json", b"\xff", json!([true, "/w=="])),
        ("text/plain", b"hi", json!([false, "hi"])),
        ("text/plain", b"", json!([false, null])),
    ] {
        let builder = to(Method::PUT, &url, "/").header("content-type", content_type);
        let event: Value = serde_json::from_slice(&request(builder, body).await.2).unwrap();
        assert_eq!(json!([event["isBase64Encoded"], event["body"]]), expected, "{content_type}");
    }
    running.drain().await;
}

#[tokio::test]
async fn a_response_comes_back_with_its_headers_and_cookies() {
    let answer = json!({
        "statusCode": 201,
        "headers": {"content-type": "image/gif", "x-n": 1},
        "multiValueHeaders": {"x-many": ["a", "b"]},
        "cookies": ["a=1; Path=/", "b=2"],
        "body": "AP8=",
        "isBase64Encoded": true,
    });
    let function = from_fn(move |_: Value| {
        let answer = answer.clone();
        async move { Ok::<_, String>(answer) }
    });
    let (url, running) = start(HttpGateway::new(Routes::new().route("GET", "/x", function))).await;
    let (status, headers, body) = request(to(Method::GET, &url, "/x"), b"").await;
    running.drain().await;
    assert_eq!((status, &body[..]), (StatusCode::CREATED, &b"\x00\xff"[..]));
    let all = |name: &str| headers.get_all(name).iter().map(|v| v.to_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(all("content-type"), ["image/gif"]);
    assert_eq!(all("x-many"), ["a", "b"]);
    assert_eq!(all("set-cookie"), ["a=1; Path=/", "b=2"]);
}

#[tokio::test]
async fn a_value_without_a_status_is_the_body_of_a_json_answer() {
    let function = from_fn(|_: Value| async { Ok::<_, String>(json!({"ok": true})) });
    let (url, running) = start(HttpGateway::new(Routes::new().route("GET", "/x", function))).await;
    let (status, headers, body) = request(to(Method::GET, &url, "/x"), b"").await;
    running.drain().await;
    assert_eq!((status, &body[..]), (StatusCode::OK, &br#"{"ok":true}"#[..]));
    assert_eq!(headers["content-type"], "application/json");
}

#[tokio::test]
async fn what_goes_wrong_has_the_status_of_api_gateway() {
    let failing = from_fn(|_: Value| async { Err::<(), _>("secret") });
    let panicking = from_fn(|event: Value| async move {
        assert!(event.is_null(), "on purpose");
        Ok::<_, String>(())
    });
    let slow = from_fn(|_: Value| std::future::pending::<Result<(), String>>());
    let invalid = from_fn(|_: Value| async { Ok::<_, String>(json!({"statusCode": 20})) });
    let routes = Routes::new()
        .route("ANY", "/fail", failing)
        .route("ANY", "/panic", panicking)
        .route("ANY", "/slow", slow)
        .route("ANY", "/invalid", invalid)
        .route("ANY", "/echo", echo());
    let limits = HttpLimits { body_bytes: 10, timeout: Duration::from_millis(50) };
    let (url, running) = start(HttpGateway { routes, limits }).await;
    for (path, body, expected) in [
        ("/fail", &b""[..], 500),
        ("/panic", b"", 500),
        ("/invalid", b"", 500),
        ("/slow", b"", 503),
        ("/missing", b"", 404),
        ("/echo", b"0123456789", 200),
        ("/echo", b"0123456789a", 413),
    ] {
        let (status, _, answer) = request(to(Method::POST, &url, path), body).await;
        assert_eq!(status.as_u16(), expected, "{path}");
        assert!(!answer.windows(6).any(|window| window == b"secret"));
    }
    running.drain().await;
}

#[tokio::test]
async fn an_axum_router_is_a_function_and_head_has_no_body() {
    let app = Router::new().route(
        "/l/{code}",
        any(|method: Method, path: axum::extract::Path<String>, headers: HeaderMap, body: Bytes| async move {
            let cookie = headers.get("cookie").map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
            let text = format!("{method} {} {cookie} {}", path.0, body.len());
            (StatusCode::FOUND, [("location", "https://example.com/"), ("set-cookie", "s=1")], text)
        }),
    );
    let (url, running) = start(HttpGateway::new(Routes::new().route("ANY", "/l/{code}", from_http(app)))).await;
    let builder = to(Method::POST, &url, "/l/abc").header("cookie", "a=1; b=2");
    let (status, headers, body) = request(builder, b"\xff\x00").await;
    assert_eq!((status, str::from_utf8(&body).unwrap()), (StatusCode::FOUND, "POST abc a=1; b=2 2"));
    assert_eq!(headers["location"], "https://example.com/");
    assert_eq!(headers.get_all("set-cookie").iter().count(), 1);
    let (status, _, body) = request(to(Method::HEAD, &url, "/l/abc"), b"").await;
    assert_eq!((status, body.len()), (StatusCode::FOUND, 0));
    running.drain().await;
}

#[tokio::test]
async fn draining_answers_the_requests_that_are_running() {
    let function = from_fn(|_: Value| async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok::<_, String>(json!("done"))
    });
    let (url, running) = start(HttpGateway::new(Routes::new().route("GET", "/x", function))).await;
    let asked = tokio::spawn({
        let url = url.clone();
        async move { request(to(Method::GET, &url, "/x"), b"").await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    running.drain().await;
    assert_eq!(&asked.await.unwrap().2[..], b"done");
    assert!(tokio::net::TcpStream::connect(url.trim_start_matches("http://")).await.is_err());
}
