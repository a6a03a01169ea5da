//! `GET /v1/links/{id}/qr.svg` and `/qr.png`: the short link as a QR code (ISO/IEC 18004), dark on light with the quiet zone
//! that readers need.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use qrcodegen::{QrCode, QrCodeEcc};
use serde::Deserialize;
use shared::http::auth::Caller;
use shared::http::params::Params;
use shared::http::problem::Problem;

use crate::Api;
use crate::links::find;

/// Light modules around the code (ISO/IEC 18004, section 9.1).
const QUIET_MODULES: u32 = 4;

/// Width of a PNG in pixels unless asked otherwise, and its bounds.
const DEFAULT_PIXELS: u32 = 512;
const PIXELS: std::ops::RangeInclusive<u32> = 64..=2_048;

/// How large a PNG shall be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Size {
    size: Option<String>,
}

/// As vectors: sharp in any size.
pub(crate) async fn svg(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let code = code(&api, caller, &id).await?;
    Ok((headers("image/svg+xml"), draw_svg(&code)))
}

/// As pixels. `size` is the width that the picture has at most; a module is a whole number of pixels.
pub(crate) async fn png(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Params(Size { size }): Params<Size>,
) -> Result<impl IntoResponse, Problem> {
    let size = size.map_or(Some(DEFAULT_PIXELS), |size| size.parse().ok().filter(|size| PIXELS.contains(size)));
    let (least, most) = (PIXELS.start(), PIXELS.end());
    let size = size.ok_or_else(|| Problem::invalid("/size", format!("must be a number from {least} to {most}")))?;
    let code = code(&api, caller, &id).await?;
    let picture = draw_png(&code, size).map_err(|error| Problem::internal(&error))?;
    Ok((headers("image/png"), picture))
}

/// The short link never changes, but who may see it does.
const fn headers(content_type: &'static str) -> [(HeaderName, &'static str); 2] {
    [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "private, max-age=3600")]
}

async fn code(api: &Api, caller: Caller, id: &str) -> Result<QrCode, Problem> {
    let link = find(api, caller.workspace, id).await?;
    let url = api.links.shared_url(&link);
    let url = url.ok_or_else(|| Problem::conflict("the key of this link's code is not in LINK_KEYS any more", None))?;
    // Medium: 15 % of a printed code may be damaged, at the size of a short link for little more area than low.
    QrCode::encode_text(&url, QrCodeEcc::Medium).map_err(|error| Problem::internal(&error))
}

/// Width of the code with its quiet zone, in modules.
fn modules(code: &QrCode) -> u32 {
    u32::try_from(code.size()).unwrap_or(0) + 2 * QUIET_MODULES
}

/// Whether the module is dark, counted from the corner of the quiet zone.
fn is_dark(code: &QrCode, x: u32, y: u32) -> bool {
    // Outside the code everything is light, also left of it and above.
    let place = |n: u32| i32::try_from(n).unwrap_or(0) - i32::try_from(QUIET_MODULES).unwrap_or(0);
    code.get_module(place(x), place(y))
}

fn draw_svg(code: &QrCode) -> String {
    let width = modules(code);
    let mut path = String::new();
    for y in 0..width {
        let mut x = 0;
        while x < width {
            let run = (x..width).take_while(|x| is_dark(code, *x, y)).count();
            if run > 0 {
                path.push_str(&format!("M{x} {y}h{run}v1h-{run}z"));
            }
            x += u32::try_from(run).unwrap_or(0) + 1;
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {width}\" shape-rendering=\"crispEdges\">\
         <rect width=\"{width}\" height=\"{width}\" fill=\"#fff\"/><path d=\"{path}\" fill=\"#000\"/></svg>"
    )
}

fn draw_png(code: &QrCode, most_pixels: u32) -> Result<Vec<u8>, png::EncodingError> {
    let width = modules(code);
    let scale = (most_pixels / width).max(1);
    let pixels = width * scale;
    // One bit a pixel, 1 is white; a row begins at a whole byte.
    let row_bytes = usize::try_from(pixels.div_ceil(8)).unwrap_or(0);
    let mut picture = Vec::with_capacity(row_bytes * usize::try_from(pixels).unwrap_or(0));
    for y in 0..width {
        let mut row = vec![0xff_u8; row_bytes];
        for x in (0..pixels).filter(|x| is_dark(code, x / scale, y)) {
            if let Some(byte) = row.get_mut(usize::try_from(x / 8).unwrap_or(0)) {
                *byte &= !(0x80 >> (x % 8));
            }
        }
        (0..scale).for_each(|_| picture.extend_from_slice(&row));
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, pixels, pixels);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&picture)?;
    writer.finish()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_pictures_show_the_code_and_its_quiet_zone() {
        let code = QrCode::encode_text("https://go.brand.example/F2KIc8oQLFvS", QrCodeEcc::Medium).unwrap();
        let width = modules(&code);
        assert_eq!(width, u32::try_from(code.size()).unwrap() + 8);
        assert!((0..width).all(|n| !is_dark(&code, n, 0) && !is_dark(&code, 3, n) && !is_dark(&code, n, width - 4)));
        // The finder pattern in the corner is dark.
        assert!((4..11).all(|n| is_dark(&code, n, 4) && is_dark(&code, 4, n)));

        let svg = draw_svg(&code);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>") && svg.contains("M4 4h7v1h-7z"));

        let file = draw_png(&code, 512).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let scale = 512 / width;
        assert_eq!((reader.info().width, reader.info().height), (width * scale, width * scale));
        let mut picture = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut picture).unwrap();
        let row_bytes = usize::try_from((width * scale).div_ceil(8)).unwrap();
        for (x, y) in (0..width).flat_map(|y| (0..width).map(move |x| (x, y))) {
            let (column, row) = ((x * scale + scale / 2) as usize, (y * scale + scale / 2) as usize);
            let is_white = picture[row * row_bytes + column / 8] & (0x80 >> (column % 8)) != 0;
            assert_eq!(is_white, !is_dark(&code, x, y), "{x} {y}");
        }
    }

    #[test]
    fn a_small_picture_has_a_pixel_for_each_module() {
        let code = QrCode::encode_text("https://go.brand.example/F2KIc8oQLFvS", QrCodeEcc::Medium).unwrap();
        let file = draw_png(&code, 1).unwrap();
        let reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        assert_eq!(reader.info().width, modules(&code));
    }
}
