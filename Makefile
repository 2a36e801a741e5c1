# moegen: `make quickstart` trains a small model, `make test` runs the tests.

GO   ?= go
OUT  ?= out
PYTHON ?= python3

.PHONY: build quickstart test test-cgo sim-exhaustive race fuzz bench bench-gemm scaling generate check clean

build: ## the moegen binary, in bin/
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/moegen ./cmd/moegen

quickstart: build ## a minute or two of training on the Go standard library's source, and a sample
	MOEGEN=bin/moegen OUT=$(OUT)/quickstart GOROOT=$$($(GO) env GOROOT) scripts/quickstart

test: check test-cgo ## everything
	$(GO) test -timeout 30m ./...
	cd runtime/host/asm && $(GO) test ./...
	cd runtime/sim/asm && $(GO) test ./...

test-cgo: ## driver/cgo under the race detector, where there is a C compiler
	@if command -v gcc >/dev/null; then \
	  scripts/with_cgo $(GO) vet -tags cgodriver ./runtime/driver/cgo && \
	  scripts/with_cgo $(GO) test -race -tags cgodriver ./runtime/driver/cgo; \
	else echo 'SKIPPED: there is no gcc, with which driver/cgo is compiled'; fi

sim-exhaustive: ## the simulator's approximate functions on all 2^32 inputs: some minutes
	$(GO) test -tags exhaustive -run TestExhaustive -timeout 60m ./runtime/sim/arith

race: ## the packages with goroutines, under the race detector
	$(GO) test -race -timeout 60m ./runtime/...

fuzz: ## ten minutes a target
	for t in $$(grep -rlE '^func Fuzz' --include='*_test.go' . | grep -v vendor); do \
	  for f in $$(grep -oE '^func Fuzz[A-Za-z0-9_]*' $$t | cut -d' ' -f2); do \
	    $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime 10m ./$$(dirname $$t) || exit 1; done; done

bench: ## speed of kernels and of whole steps; docs/benchmarks.md has results
	$(GO) test -run '^$$' -bench . ./runtime/host
	scripts/bench_step bin/moegen

bench-gemm: ## matrix products beside those of NumPy and PyTorch (PYTHON: an interpreter that has both)
	$(GO) test -run '^$$' -bench 'GEMM|Grouped' ./runtime/host
	$(PYTHON) scripts/peers/gemm_peers.py

scaling: build ## plans for more and more GPUs, the tables of docs/scaling.md
	scripts/scaling bin/moegen

generate: ## assembly of the host kernels and the simulator, written anew by its generators
	$(GO) generate ./runtime/host ./runtime/sim

check: ## formatting and vet
	@test -z "$$(gofmt -l $$(git ls-files '*.go' | grep -v ^vendor/))" || { echo 'gofmt these files:'; gofmt -l $$(git ls-files '*.go' | grep -v ^vendor/); exit 1; }
	$(GO) vet ./...

clean:
	rm -rf bin $(OUT)
