# Everything here is a plain go command with its flags spelled out; .ci/run is the gate.

GO       ?= go
SEEDS    ?= 500
FUZZTIME ?= 30s

.PHONY: help test sim bench lint fuzz build profile

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

test: ## run all tests
	$(GO) test ./...

sim: build ## sweep SEEDS (500) seeds of every shipped scenario
	bin/skynet sim scenarios/*.star --seeds $(SEEDS)

bench: build ## measure this machine beside a channel ping-pong of the same run
	bin/skynet bench

PROFILED ?= call call-dict send tcp-echo-64 tcp-echo-512 timers sim-steps call-100-pairs-2workers go-call cluster-call-1

profile: ## renew cmd/skynet/default.pgo, the profile that the compiler optimises by
	@dir=$$(mktemp -d) && $(GO) test -c -o $$dir/measure ./cmd/skynet/measure && for m in $(PROFILED); do \
	  (cd cmd/skynet/measure && $$dir/measure -test.run '^$$' -test.bench "Round/^$$m$$" -test.cpuprofile $$dir/$$m.prof) || exit 1; \
	done && $(GO) run ./cmd/skynet/measure/pgo cmd/skynet/default.pgo $$dir/*.prof && rm -r $$dir

lint: bin/staticcheck ## gofmt, go vet, staticcheck, go.mod, and the rules of properties/policy
	@out=$$(gofmt -l .); test -z "$$out" || { echo "gofmt: not formatted:"; echo "$$out"; exit 1; }
	$(GO) vet ./...
	bin/staticcheck ./...
	$(GO) mod tidy -diff
	$(GO) test -count=1 ./properties/policy

fuzz: ## run every fuzz target for FUZZTIME (30s)
	@for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "$$pkg $$target"; \
	    $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
	  done; \
	done

build: ## build bin/skynet
	$(GO) build -o bin/skynet ./cmd/skynet

bin/staticcheck:
	GOBIN=$(CURDIR)/bin $(GO) install honnef.co/go/tools/cmd/staticcheck@v0.8.2
