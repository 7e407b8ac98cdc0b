# The standing commands. `make demo` and `make test` are all that a newcomer needs.
GO ?= go
GOLANGCI = .cache/bin/golangci-lint-v2.15.0

.PHONY: demo test build lint vuln house bench soak fuzz generate fresh clean

demo: ## the main job, on the embedded database
	@$(GO) run ./cmd/carepost demo

test: ## everything but the slow checks; installs what the tests need (as root, from Debian)
	@scripts/test-needs.sh
	CGO_ENABLED=1 $(GO) test -race -shuffle=on -timeout 15m ./...

build: ## a static binary in bin/
	CGO_ENABLED=0 GOFIPS140=v1.0.0 $(GO) build -trimpath -o bin/carepost ./cmd/carepost

house: ## the house rules
	$(GO) test ./internal/

lint: $(GOLANGCI) ## gofumpt, golangci-lint, dead code
	@out=$$($(GO) tool -modfile=tools/go.mod gofumpt -l cmd internal tools); [ -z "$$out" ] || { echo "gofumpt would change:"; echo "$$out"; exit 1; }
	$(GOLANGCI) run ./...

$(GOLANGCI):
	@mkdir -p .cache/bin
	$(GO) build -modfile=tools/go.mod -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

vuln: ## known vulnerabilities that our code reaches, offline
	@scripts/vulncheck.sh

bench: ## figures, never a test
	$(GO) test -run '^$$' -bench . -benchtime 1s ./internal/...

fuzz: ## each fuzz target for FUZZTIME (default 30s)
	@scripts/fuzz.sh $(or $(FUZZTIME),30s)

soak: ## the bad days, ROUNDS rounds (default 30); ends with a table of what was lost, in doubt, weaker than decided
	@cd tools && $(GO) run ./soak -rounds $(or $(ROUNDS),30)

generate: ## the record types and the references in docs/
	$(GO) generate ./...

fresh: ## the two commands in a fresh clone under an empty HOME
	@scripts/fresh.sh

clean:
	rm -rf bin .cache
