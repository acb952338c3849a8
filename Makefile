# What there is to do, each with one word. `make test` is everything that must hold; `make soak` is what takes long.
#
# Build output goes to target/; what is downloaded or built once for every run (cargo-deb, the peers of the end-to-end
# tests) goes to $XDG_CACHE_HOME/sidewatch.

PREFIX  ?= /usr
DESTDIR ?=
SYSCONFDIR ?= /etc

CARGO   ?= cargo
TARGET  := $(or $(CARGO_TARGET_DIR),target)
BIN     ?= $(TARGET)/release/sidewatch
CACHE   := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sidewatch

CARGO_DEB_VERSION := 3.8.0
CARGO_DEB := $(CACHE)/tools/cargo-deb-$(CARGO_DEB_VERSION)/bin/cargo-deb

CARGO_FUZZ_VERSION := 0.13.2
CARGO_FUZZ := $(CACHE)/tools/cargo-fuzz-$(CARGO_FUZZ_VERSION)/bin/cargo-fuzz
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= $(patsubst fuzz/fuzz_targets/%.rs,%,$(wildcard fuzz/fuzz_targets/*.rs))

INSTALL := install
UNITDIR := $(PREFIX)/lib/systemd/system
DOCDIR  := $(PREFIX)/share/doc/sidewatch
BASHDIR := $(PREFIX)/share/bash-completion/completions
ZSHDIR  := $(PREFIX)/share/zsh/site-functions
FISHDIR := $(PREFIX)/share/fish/vendor_completions.d

.PHONY: help build test lint docs unit e2e soak bench audit install uninstall deb

help:
	@echo "make build      the release binary, $(BIN)"
	@echo "make test       format, lints, docs, unit, property, layer, command line and end-to-end tests"
	@echo "make lint|docs|unit|e2e   one part of it"
	@echo "make soak       the long runs at full size, with every figure printed"
	@echo "make bench      what an event, a scrape, a query, a sample and a rule cost, beside a bare receiver, a pushgateway and a prometheus (see docs/benchmarks.md)"
	@echo "make fuzz       every fuzz target for FUZZ_SECONDS=$(FUZZ_SECONDS); FUZZ_TARGETS=\"$(FUZZ_TARGETS)\""
	@echo "make audit      the sandbox score of the unit; licences and advisories of the dependencies (needs cargo-deny)"
	@echo "make install    into DESTDIR=$(DESTDIR) PREFIX=$(PREFIX); make uninstall takes it away"
	@echo "make deb        the Debian package, in $(TARGET)/debian"

build:
	$(CARGO) build --release --locked

test:
	@tests/run.sh

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --test e2e --test soak -- -D warnings

docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps

unit:
	$(CARGO) test --locked

e2e:
	@tests/e2e.sh e2e

soak:
	@tests/e2e.sh soak

bench:
	$(CARGO) build --release --locked --bin sidewatch --example flood --example loaded --example history
	SIDEWATCH_BIN="$(BIN)" FLOOD="$(TARGET)/release/examples/flood" benches/ingest.sh
	SIDEWATCH_BIN="$(BIN)" FLOOD="$(TARGET)/release/examples/flood" benches/scrape.sh
	LOADED="$(TARGET)/release/examples/loaded" benches/query.sh
	HISTORY="$(TARGET)/release/examples/history" benches/append.sh
	SIDEWATCH_BIN="$(BIN)" FLOOD="$(TARGET)/release/examples/flood" benches/rules.sh

# What is found goes to fuzz/artifacts; inputs that reach something new go to fuzz/found, and the corpus stays as it is.
fuzz: $(CARGO_FUZZ)
	for target in $(FUZZ_TARGETS); do \
	  mkdir -p fuzz/found/$$target && \
	  PATH="$(dir $(CARGO_FUZZ)):$$PATH" $(CARGO) fuzz run -s none $$target fuzz/found/$$target fuzz/corpus/$$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 || exit 1; \
	done

$(CARGO_FUZZ):
	@echo "installing cargo-fuzz $(CARGO_FUZZ_VERSION) into $(CACHE)/tools"
	$(CARGO) install cargo-fuzz --version $(CARGO_FUZZ_VERSION) --locked --quiet --root "$(CACHE)/tools/cargo-fuzz-$(CARGO_FUZZ_VERSION)"

audit:
	systemd-analyze security --offline=true --no-pager --threshold=20 systemd/sidewatch.service
	$(CARGO) deny --locked check

install:
	@test -x "$(BIN)" || { echo "no $(BIN): run \`make build\` first"; exit 1; }
	$(INSTALL) -D -m 0755 "$(BIN)" "$(DESTDIR)$(PREFIX)/bin/sidewatch"
	$(INSTALL) -d "$(DESTDIR)$(UNITDIR)"
	for unit in sidewatch.service sidewatch.socket; do \
	  sed 's|/usr/bin/sidewatch|$(PREFIX)/bin/sidewatch|; s|/usr/share/doc|$(PREFIX)/share/doc|' systemd/$$unit \
	    > "$(DESTDIR)$(UNITDIR)/$$unit" && chmod 0644 "$(DESTDIR)$(UNITDIR)/$$unit" || exit 1; \
	done
	$(INSTALL) -D -m 0644 systemd/sysusers.d/sidewatch.conf "$(DESTDIR)$(PREFIX)/lib/sysusers.d/sidewatch.conf"
	$(INSTALL) -D -m 0644 systemd/tmpfiles.d/sidewatch.conf "$(DESTDIR)$(PREFIX)/lib/tmpfiles.d/sidewatch.conf"
	$(INSTALL) -D -m 0644 systemd/sidewatch.service.d/notify-reload.conf "$(DESTDIR)$(DOCDIR)/notify-reload.conf"
	$(INSTALL) -D -m 0644 -t "$(DESTDIR)$(DOCDIR)" README.md docs/*.md
	$(INSTALL) -D -m 0644 -t "$(DESTDIR)$(DOCDIR)/runbooks" docs/runbooks/*.md
	$(INSTALL) -D -m 0644 -t "$(DESTDIR)$(PREFIX)/share/sidewatch/rules" rules/*.yml
	$(INSTALL) -D -m 0644 packaging/rules.README "$(DESTDIR)$(SYSCONFDIR)/sidewatch/rules/README"
	$(INSTALL) -d "$(DESTDIR)$(BASHDIR)" "$(DESTDIR)$(ZSHDIR)" "$(DESTDIR)$(FISHDIR)"
	"$(BIN)" completions bash > "$(DESTDIR)$(BASHDIR)/sidewatch"
	"$(BIN)" completions zsh > "$(DESTDIR)$(ZSHDIR)/_sidewatch"
	"$(BIN)" completions fish > "$(DESTDIR)$(FISHDIR)/sidewatch.fish"
	test -e "$(DESTDIR)$(SYSCONFDIR)/sidewatch/sidewatch.yml" || \
	  $(INSTALL) -D -m 0644 packaging/sidewatch.yml "$(DESTDIR)$(SYSCONFDIR)/sidewatch/sidewatch.yml"

# The configuration, the rules and the state are the user's and stay.
uninstall:
	rm -f "$(DESTDIR)$(PREFIX)/bin/sidewatch" \
	  "$(DESTDIR)$(UNITDIR)/sidewatch.service" "$(DESTDIR)$(UNITDIR)/sidewatch.socket" \
	  "$(DESTDIR)$(PREFIX)/lib/sysusers.d/sidewatch.conf" "$(DESTDIR)$(PREFIX)/lib/tmpfiles.d/sidewatch.conf" \
	  "$(DESTDIR)$(BASHDIR)/sidewatch" "$(DESTDIR)$(ZSHDIR)/_sidewatch" "$(DESTDIR)$(FISHDIR)/sidewatch.fish"
	rm -rf "$(DESTDIR)$(DOCDIR)" "$(DESTDIR)$(PREFIX)/share/sidewatch"

$(CARGO_DEB):
	@echo "installing cargo-deb $(CARGO_DEB_VERSION) into $(CACHE)/tools"
	$(CARGO) install cargo-deb --version $(CARGO_DEB_VERSION) --locked --no-default-features --quiet \
	  --root "$(CACHE)/tools/cargo-deb-$(CARGO_DEB_VERSION)"

deb: build $(CARGO_DEB)
	mkdir -p "$(TARGET)/release/completions"
	"$(TARGET)/release/sidewatch" completions bash > "$(TARGET)/release/completions/sidewatch"
	"$(TARGET)/release/sidewatch" completions zsh > "$(TARGET)/release/completions/_sidewatch"
	"$(TARGET)/release/sidewatch" completions fish > "$(TARGET)/release/completions/sidewatch.fish"
	$(CARGO_DEB) --no-build --no-strip --output "$(TARGET)/debian/sidewatch.deb"
