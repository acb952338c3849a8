//! The command line as its user sees it: what each page of tests/cli shows is what the program says.

/// Pages in which no agent runs. `TRYCMD=overwrite cargo test --test cli` writes them anew.
#[test]
fn the_pages_show_what_the_program_says() {
    let cases = trycmd::TestCases::new();
    // The width of the help is that of the terminal.
    cases.env("COLUMNS", "100");
    // Nobody's configuration.
    cases.env("XDG_CONFIG_HOME", "/nonexistent").case("tests/cli/*.trycmd");
}
