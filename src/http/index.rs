//! `/`: a page for people who have found the port and wonder what it is.

use hyper::StatusCode;

use super::State;
use super::reply::{HTML, Reply};
use super::router::{Call, listed};

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}td{padding:.2rem 1rem .2rem 0;vertical-align:top}";

/// The endpoints, with links where a plain GET makes sense.
pub(super) fn page(_: &Call, _: &State) -> Reply {
    let version = env!("CARGO_PKG_VERSION");
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>sidewatch</title><style>{STYLE}</style>\
         <h1>sidewatch {version}</h1><p>Measures this host and its applications, evaluates alerting rules on the spot, \
         and says whether this instance is healthy.</p><table>\n"
    );
    for route in listed() {
        let (path, help) = (route.path, route.help);
        let link = if path.contains('{') { path.to_owned() } else { format!("<a href=\"{path}\">{path}</a>") };
        page.push_str(&format!("<tr><td><code>{link}</code><td>{help}\n"));
    }
    page.push_str("</table></html>\n");
    Reply::new(StatusCode::OK, HTML, page)
}

/// Browsers ask for an icon; that there is none need not count as an error.
pub(super) fn no_icon(_: &Call, _: &State) -> Reply {
    Reply::text(StatusCode::NO_CONTENT, "")
}
