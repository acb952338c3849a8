//! The results of tests as JUnit XML, which most CI systems read: a suite a file, a case a test.

use super::test::FileResult;

/// The report.
pub(super) fn report(results: &[FileResult]) -> String {
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n".to_owned();
    for result in results {
        let failed = result.tests.iter().filter(|test| !test.failures.is_empty()).count();
        text.push_str(&format!(
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\" errors=\"{}\" time=\"{:.3}\">\n",
            escape(&result.file),
            result.tests.len(),
            result.problems.len(),
            result.took.as_secs_f64(),
        ));
        for problem in &result.problems {
            let problem = escape(&problem.to_string());
            text.push_str(&format!("    <testcase name=\"the file\">\n      <error>{problem}</error>\n    </testcase>\n"));
        }
        for test in &result.tests {
            text.push_str(&format!("    <testcase name=\"{}\"", escape(&test.name)));
            if test.failures.is_empty() {
                text.push_str("/>\n");
                continue;
            }
            text.push_str(">\n");
            for failure in &test.failures {
                text.push_str(&format!("      <failure>{}</failure>\n", escape(&failure.to_string())));
            }
            text.push_str("    </testcase>\n");
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

/// Text for XML 1.0, which has no place for most control characters.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            c if c.is_control() && c != '\t' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #[test]
    fn whatever_a_name_holds_the_report_stays_xml() {
        assert_eq!(super::escape("a<b> & \"c\"\n\u{1}"), "a&lt;b&gt; &amp; &quot;c&quot;&#10;\u{fffd}");
    }
}
