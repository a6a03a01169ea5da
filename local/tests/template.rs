//! `template.yaml` and the functions: every function is deployed, and is told all that it asks for and nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use shared::config::{InvalidSettings, Settings};
use yaml_rust2::{Yaml, YamlLoader};

/// What the configuration of a function is read by.
type Read = fn(Settings) -> Result<(), InvalidSettings>;

/// Every function, by its folder.
const FUNCTIONS: [(&str, Read); 8] = [
    ("analytics", |settings| analytics::Config::read(settings).map(|_| ())),
    ("api", |settings| api::Config::read(settings).map(|_| ())),
    ("dispatch", |settings| dispatch::Config::read(settings).map(|_| ())),
    ("ingest", |settings| ingest::Config::read(settings).map(|_| ())),
    ("redirect", |settings| redirect::Config::read(settings).map(|_| ())),
    ("rollup", |settings| rollup::Config::read(settings).map(|_| ())),
    ("send", |settings| send::Config::read(settings).map(|_| ())),
    ("webhook", |settings| webhook::Config::read(settings).map(|_| ())),
];

/// Read by what every function starts with, not by its configuration.
const READ_BY_ALL: &str = "RUST_LOG";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The template. A `!Ref X` reads as the text `X`, an `!If [C, A, B]` as a list.
fn template() -> Yaml {
    let text = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    YamlLoader::load_from_str(&text).unwrap().remove(0)
}

/// The functions of the template: folder and properties.
fn deployed(template: &Yaml) -> BTreeMap<String, Yaml> {
    let resources = template["Resources"].as_hash().unwrap().values();
    resources
        .filter(|resource| resource["Type"].as_str() == Some("AWS::Serverless::Function"))
        .map(|function| {
            let folder = function["Properties"]["CodeUri"].as_str().unwrap();
            let name = folder.strip_prefix("functions/").unwrap().to_owned();
            let metadata = &function["Metadata"];
            assert_eq!(metadata["BuildMethod"].as_str(), Some("rust-cargolambda"), "{name}");
            assert_eq!(metadata["BuildProperties"]["Binary"].as_str(), Some(name.as_str()));
            (name, function["Properties"].clone())
        })
        .collect()
}

/// A function's environment as it may look when it is deployed.
fn environment(template: &Yaml, function: &Yaml) -> BTreeMap<String, String> {
    let all = &template["Globals"]["Function"]["Environment"]["Variables"];
    let own = &function["Environment"]["Variables"];
    [all, own]
        .into_iter()
        .flat_map(|variables| variables.as_hash().unwrap())
        .map(|(name, value)| (name.as_str().unwrap(), value))
        .map(|(name, value)| (name.to_owned(), example(name, value)))
        .collect()
}

/// A value that a parameter or an attribute of a resource may have.
fn example(name: &str, declared: &Yaml) -> String {
    match name {
        "LINK_KEYS" => "1:000102030405060708090a0b0c0d0e0f".to_owned(),
        "ADMIN_API_KEY_SHA256" => "0".repeat(64),
        "RETENTION" => "messages=400,audit=90".to_owned(),
        _ if name.ends_with("_URL") => "https://example.com/x".to_owned(),
        // The text itself, or the name of what it refers to; of an `!If` what holds unless a parameter says otherwise.
        _ => declared.as_str().or_else(|| declared[2].as_str()).unwrap().to_owned(),
    }
}

/// The function's sources as one text.
fn sources(name: &str) -> String {
    let folder = root().join("functions").join(name).join("src");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.is_file()).map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn every_function_is_deployed() {
    let folders: BTreeSet<String> = std::fs::read_dir(root().join("functions"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("Cargo.toml").is_file())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(deployed(&template()).into_keys().collect::<BTreeSet<_>>(), folders);
    assert_eq!(FUNCTIONS.map(|(name, _)| name.to_owned()).into_iter().collect::<BTreeSet<_>>(), folders);
}

#[test]
fn every_function_is_told_what_it_asks_for() {
    let template = template();
    let deployed = deployed(&template);
    for (name, read) in FUNCTIONS {
        let environment = environment(&template, &deployed[name]);
        if let Err(error) = read(Settings::from_values(environment)) {
            panic!("{name}: {error}");
        }
    }
}

#[test]
fn no_function_is_told_what_it_does_not_ask_for() {
    let template = template();
    for (name, function) in deployed(&template) {
        let sources = sources(&name);
        for variable in environment(&template, &function).into_keys().filter(|variable| variable != READ_BY_ALL) {
            assert!(sources.contains(&format!("\"{variable}\"")), "{name} does not read {variable}");
        }
    }
}
