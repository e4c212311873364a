# Every target is one or two commands that work by hand too. Go is all that is needed; a C compiler adds the race detector to the tests.

GO   ?= go
ARGS ?=
PKG  ?= ./...

# The tools have a module of their own, so that their dependencies stay out of the product's.
TOOL := $(GO) tool -modfile=tools/go.mod

# "-race" where it can work: cgo is on and its compiler exists.
RACE := $(shell test "$$($(GO) env CGO_ENABLED 2>/dev/null)" = 1 && command -v "$$($(GO) env CC)" >/dev/null 2>&1 && echo -race)

# One package of whatsmeow's toolbox stays out of the race detector: its Event.GetChan sets a flag under a lock for readers, so two requests that wait
# for a connection at once are reported now and then. Both write the same value. Everything else, and all of ours, is watched.
UNWATCHED := $(if $(RACE),-gcflags=go.mau.fi/util/exsync=-race=false)

# An installed promtool is used as it is; without one it is built.
PROMTOOL ?= $(or $(shell command -v promtool 2>/dev/null),bin/promtool)

.DEFAULT_GOAL := help
.PHONY: help demo run build test fuzz check-contract rules e2e chaos chaos-long servers check-deployments bench benchmarks cover update-golden lint fmt vuln sbom

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r target text; do printf '  make %-14s %s\n' "$$target" "$$text"; done

demo: ## link simulated phones and send a campaign from each (ARGS="--sessions 3 --recipients 1000")
	$(GO) run ./cmd/broadcaster demo $(ARGS)

run: ## run everything in one process, with real phones (ARGS="--data DIR --simulate")
	$(GO) run ./cmd/broadcaster up $(ARGS)

build: ## build the binaries into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./cmd/...

test: ## run the tests, with the race detector where a C compiler exists (PKG=./internal/lease)
ifeq ($(RACE),)
	@echo "***" >&2; echo "*** No C compiler, or cgo is off: the tests run WITHOUT the race detector." >&2; echo "***" >&2
endif
	$(GO) test $(RACE) $(UNWATCHED) -timeout 15m $(PKG)
ifeq ($(PKG),./...)
	@$(MAKE) --no-print-directory rules check-contract
endif

fuzz: ## ask the API for longer whether it keeps its contract (ROUNDS=500 SEED=1 repeats a run)
	CONTRACT_ROUNDS=$(or $(ROUNDS),500) CONTRACT_SEED=$(SEED) $(GO) test $(RACE) -count=1 -v -timeout 2h -run NoRequest ./internal/api/contract

check-contract: ## ask a validator of another house whether docs/openapi.json is OpenAPI 3.1
	cd docs/check && $(GO) test -count=1 ./...

rules: $(PROMTOOL) ## test the alert rules with promtool, and hold rules, dashboards and runbooks against the metrics
	$(PROMTOOL) check rules --lint=all --lint-fatal deployments/prometheus/rules.yml
	$(PROMTOOL) test rules deployments/prometheus/rules_test.yml
	cd deployments/observe && $(GO) test -count=1 ./... # the files are outside of its module, so that a cached result would be stale

# promtool's version is pinned in a module of its own; it takes some minutes the first time. None of the ways in which it finds targets is needed.
bin/promtool: deployments/observe/go.mod
	@echo "promtool is not installed (Debian has it in the package prometheus): it is built from its Go module, once, which takes some minutes"
	@cd deployments/observe && CGO_ENABLED=0 $(GO) build -tags remove_all_sd -o ../../bin/promtool github.com/prometheus/prometheus/cmd/promtool || \
		{ echo "promtool could not be built; install it (apt-get install prometheus), or give its path: make rules PROMTOOL=/path/to/promtool" >&2; exit 1; }
	@touch bin/promtool

e2e: servers ## run the services as processes, end senders in the middle, and count (ARGS=--json)
	bin/e2e $(ARGS)

chaos: servers ## do harm to the services by a seeded schedule while they send, and count (ARGS="--seed 2 --json")
	bin/chaos $(ARGS)

chaos-long: servers ## the same for about an hour, with more phones and messages (ARGS="--seed 2 --json")
	bin/chaos --faults 400 --sessions 6 --recipients 3000 $(ARGS)

# What the services need beside them to run as processes of one machine.
servers: build
	CGO_ENABLED=0 $(GO) build -o bin/nats-server github.com/nats-io/nats-server/v2
	$(GO) run ./internal/store/mongo/mongotest/build bin/ferret

check-deployments: ## check the compose file, the Dockerfile and prometheus.yml with their own parsers
	cd deployments/check && $(GO) test ./...

bench: ## measure the product beside its yardsticks (ARGS="--quick --json --only send")
	$(GO) run ./cmd/broadcaster bench $(ARGS)

benchmarks: ## run the Go benchmarks (PKG=./internal/sender)
	$(GO) test -run '^$$' -bench . -benchmem -timeout 30m $(PKG)

cover: ## say how much of each package its tests run, and write bin/cover.html over all of them; there is no bound
	@mkdir -p bin
	$(GO) test -cover -coverprofile=bin/cover.out -timeout 20m $(PKG)
	$(GO) tool cover -html=bin/cover.out -o bin/cover.html
	@$(GO) tool cover -func=bin/cover.out | tail -n 1

update-golden: ## write the golden files and the generated pages (metrics, queues, events, AsyncAPI, OpenAPI, Postman, series) anew; read the difference before you commit it
	UPDATE_GOLDEN=1 $(GO) test -count=1 ./internal/events/...
	UPDATE_GOLDEN=1 $(GO) test -count=1 ./internal/bus/contract
	UPDATE_GOLDEN=1 $(GO) test -count=1 -run MetricsPage ./internal/app
	UPDATE_GOLDEN=1 $(GO) test -count=1 -run True ./internal/api/contract
	cd deployments/observe && UPDATE_GOLDEN=1 $(GO) test -count=1 -run TheSeriesAreListed .

lint: ## run the linters of .golangci.yml
	$(TOOL) golangci-lint run $(PKG)

fmt: ## format the code
	$(GO) fmt $(PKG)

# Its database is asked over the network. Where that cannot be reached nothing is known, which is no failure, and must not look like a success.
VULNDB ?= https://vuln.go.dev
vuln: ## look for known vulnerabilities of the dependencies (VULNDB=https://mirror.example, or file:///folder)
	@case "$(VULNDB)" in file:*) ;; *) curl -fsS -m 20 -o /dev/null "$(VULNDB)/index/db.json" || { \
		echo "***" >&2; echo "*** $(VULNDB) cannot be reached: NOTHING was looked for. Run make vuln where it can be." >&2; echo "***" >&2; exit 0; }; \
		esac && $(TOOL) govulncheck -db "$(VULNDB)" $(PKG)

sbom: ## write the bill of materials, with versions, checksums and licences, into bin/sbom.json (CycloneDX)
	@mkdir -p bin
	$(GO) tool -modfile=tools/sbom/go.mod cyclonedx-gomod mod -json -licenses -output bin/sbom.json .
