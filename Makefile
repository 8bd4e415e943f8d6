# The few commands that people need. They call the programs in Scripts/.

SHELL := bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# `make -j` must not build in one folder twice at a time.
.NOTPARALLEL:

swift_paths := Package.swift Sources Tests Examples Benchmarks Chaos
# With REDIS_URL set, there is a Redis already.
install := Scripts/install-dependencies.sh $(if $(REDIS_URL),--library-only)
# `make test ARGS='--filter GroupConsumer'`
ARGS ?=
# `make simulate SEED=4711`
SEED ?=
# `make conformance-fuzz COUNT=500000`
COUNT ?=
test := swift test --disable-xctest $(ARGS)

.PHONY: help demo demo-cluster test test-matrix test-tls test-cluster conformance-fuzz simulate check lint format build examples old-worker chaos chaos-check test-sentinel chaos-control sanitize bench bench-check bench-thresholds bench-peers bench-plots bench-report clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

quickstart := swift run --package-path Examples --skip-build quickstart

demo: ## Install what is missing, build the quickstart example and run it on a private Redis
	@$(install)
	@echo 'Building the quickstart example: one to two minutes from clean …'
	@swift build --package-path Examples --product quickstart
	@Scripts/with-redis.sh $(quickstart)

demo-cluster: ## Run the quickstart on a private Redis Cluster: a slot moves and a master is killed meanwhile
	@$(install)
	@echo 'Building the quickstart example: one to two minutes from clean …'
	@swift build --package-path Examples --product quickstart
	@Scripts/with-cluster.sh --disturb $(quickstart) --messages 60000

test: ## Install what is missing and run all tests on the installed Redis (ARGS='--filter …' picks some)
	@Scripts/install-dependencies.sh
	@set -euo pipefail; \
	if [[ -z "$${REDIS_STREAMS_SERVERS:-}" ]]; then \
	    server=$$(command -v "$${REDIS_SERVER:-redis-server}"); \
	    name=$$("$$server" --version | sed -nE 's/^(Redis|Valkey) server v=([0-9]+\.[0-9]+).*/\1-\2/p' | tr A-Z a-z); \
	    export REDIS_STREAMS_SERVERS="$$name=$$server"; \
	fi; \
	echo "Testing on $$REDIS_STREAMS_SERVERS; building first takes some minutes from clean …"; \
	$(test)

test-matrix: ## Fetch all four servers into .servers/ and run all tests on each of them
	@Scripts/install-dependencies.sh
	@Scripts/fetch-servers.sh
	@set -euo pipefail; \
	REDIS_STREAMS_SERVERS=$$(Scripts/fetch-servers.sh --list); \
	export REDIS_STREAMS_SERVERS; \
	echo 'Testing on these servers; building first takes some minutes from clean …'; \
	$(test)

# test-matrix runs these tests as well. One of the four servers was built with TLS, Debian's Redis 7.0, and `tlsIsThere`
# fails without it.
test-tls: ## Run the tests of TLS and of credentials on the servers of test-matrix
	@Scripts/install-dependencies.sh
	@Scripts/fetch-servers.sh
	@REDIS_STREAMS_SERVERS=$$(Scripts/fetch-servers.sh --list) \
	    swift test --disable-xctest --filter 'TLS|tlsIsThere|Credentials|Logins|ConnectingError'

# The short form is one of the tests of test-matrix.
test-cluster: ## Move slots of real clusters under load, fail over and kill masters: 20 moves, 5 failovers, 5 kills on each server
	@Scripts/install-dependencies.sh
	@Scripts/fetch-servers.sh
	@echo 'Building the tests: some minutes from clean …'
	@swift build --build-tests
	@REDIS_STREAMS_CLUSTER=long REDIS_STREAMS_SERVERS=$$(Scripts/fetch-servers.sh --list) \
	    swift test --skip-build --disable-xctest --filter IntegrationTests/Clusters $(ARGS)

# The short form, with fixed seeds, is one of the tests of test-matrix.
conformance-fuzz: ## Compare each server with the in-memory one by random commands (SEED=4711 replays; COUNT=300000 for each server)
	@Scripts/install-dependencies.sh
	@Scripts/fetch-servers.sh
	@echo 'Building the tests: some minutes from clean …'
	@swift build --build-tests
	@CONFORMANCE_SEED=$(or $(SEED),$(shell date +%s)) CONFORMANCE_COUNT=$(or $(COUNT),100000) \
	    REDIS_STREAMS_SERVERS=$$(Scripts/fetch-servers.sh --list) \
	    swift test --skip-build --disable-xctest --filter Conformance/randomCommands

# Optimised, since ten thousand runs are many. SEED replays one. Without SEED and ARGS, the control runs follow.
simulate: ## Run 10,000 seeds of whole consumers with faults on a virtual clock (SEED=4711 replays one; ARGS='--control')
	@Scripts/install-dependencies.sh --library-only
	@echo 'Building the simulation in release mode: some minutes from clean …'
	@swift build -c release --product simulate
	@swift run -c release --skip-build simulate $(if $(SEED),--seed $(SEED)) $(ARGS)
ifeq ($(SEED)$(ARGS),)
	@echo
	@swift run -c release --skip-build simulate --control
endif

# What CI does, with warnings as errors. It ignores ARGS and SEED, since CI runs everything.
check: export REDIS_STREAMS_STRICT := 1
check: ## Do what CI does: lint, build with warnings as errors, test-matrix, simulate, examples, chaos-check, sanitize, bench-check
	@for step in lint build test-matrix simulate examples chaos-check sanitize bench-check; do \
	    printf '\n==> make %s\n' $$step; \
	    start=$$SECONDS; \
	    $(MAKE) $$step ARGS= SEED= || { printf '==> make %s FAILED after %d s\n' $$step $$((SECONDS - start)); exit 1; }; \
	    printf '==> make %s took %d s\n' $$step $$((SECONDS - start)); \
	done

# swift-format ignores a missing path without an error, hence `ls`. A force unwrap in the library is an error, since a
# server's reply could crash the client with it; tests may use one.
lint: ## Check formatting and style of all Swift code, and that folders use only those above them
	@Scripts/check-layers.py --self-test
	@Scripts/check-layers.py
	@ls -d $(swift_paths) >/dev/null
	@swift format lint --strict --parallel --recursive $(filter-out Sources,$(swift_paths))
	@swift format lint --strict --parallel --recursive Sources \
	    --configuration "$$(sed -E 's/("Never(ForceUnwrap|UseForceTry)": *)false/\1true/' .swift-format)"

format: ## Format all Swift code in place
	@swift format --in-place --parallel --recursive $(swift_paths)

build: ## Build the library and its tests
	@Scripts/install-dependencies.sh --library-only
	@swift build --build-tests

examples: ## Build all examples, and run those that end by themselves on a private Redis
	@$(install)
	@swift build --package-path Examples
	@for example in quickstart fanout group-worker produce; do \
	    swift run --package-path Examples --skip-build $$example --help >/dev/null </dev/null || \
	        { echo "error: '$$example --help' failed" >&2; exit 1; }; \
	done
	@for example in quickstart fanout; do \
	    printf '\n-- %s\n' $$example; \
	    Scripts/with-redis.sh swift run --package-path Examples --skip-build $$example </dev/null || exit 1; \
	done
	@for topology in cluster sentinels; do \
	    printf '\n-- quickstart, with a private %s\n' $$topology; \
	    move=$$([[ $$topology == sentinels ]] || echo --move); \
	    Scripts/with-$$topology.sh $$move $(quickstart) --messages 60000 </dev/null || exit 1; \
	    printf '\n-- produce and group-worker, with a private %s\n' $$topology; \
	    Scripts/with-$$topology.sh bash -c 'set -o pipefail; run="swift run --package-path Examples --skip-build"; \
	        $$run produce --count 20000 && \
	        { timeout -s INT 5 $$run group-worker || (($$? == 124)); } | tee -a /dev/stderr | grep -q "Handled [1-9]"' \
	        </dev/null || exit 1; \
	done

# run_chaos OPTIONS
define run_chaos
	@Scripts/install-dependencies.sh
	@Scripts/fetch-servers.sh
	@echo 'Building the chaos cases: a minute or two from clean …'
	@swift build --package-path Chaos
	@REDIS_STREAMS_SERVERS=$$(Scripts/fetch-servers.sh --list) \
	    swift run --package-path Chaos --skip-build chaos $(1) $(ARGS)
endef

# The older build of the case rolling-upgrade: its worker shares a group with the worker of this build.
old_commit := f4c73cd
old_build := .build-$(old_commit)
old_worker := $(old_build)/Chaos/.build/debug/chaos-worker
# Not needed if ARGS names only other cases.
needs_old_worker := $(if $(filter rolling-upgrade,$(ARGS)),yes,$(if $(shell grep -oE '(^| )[a-z]' <<<'$(ARGS)'),,yes))

old-worker: ## Build the chaos worker of the older commit that the case rolling-upgrade starts with
	@test -x $(old_worker) || Scripts/build-old-worker.sh $(old_commit) $(old_build)

chaos: $(if $(needs_old_worker),old-worker) ## Break servers, connections and processes under load, and check that promises hold (ARGS='--help' lists the cases)
	$(call run_chaos,--old-worker $(old_worker))

chaos-check: ## Run the short form of CI: all cases but rolling-upgrade, with reduced counts
	$(call run_chaos,--quick)

test-sentinel: ## Fail over ten times behind real sentinels, under load, with and without min-replicas-to-write (ARGS=--quick for CI's form)
	$(call run_chaos,sentinel-failovers $(if $(ARGS),,sentinel-replicas))

chaos-control: ## Run the control runs of chaos: what a case tests is turned off, and the case has to fail
	$(call run_chaos,--control)

# In its own folder, since everything is built again for it. `runtime.c` reports to the sanitizer what it cannot see.
tsan := .build/tsan
tsan_environment = LD_PRELOAD=$(CURDIR)/$(tsan)/runtime.so \
    TSAN_OPTIONS='suppressions=$(CURDIR)/Tests/ThreadSanitizer/suppressions.txt report_thread_leaks=0'

sanitize: export REDIS_STREAMS_TSAN := 1
sanitize: ## Run the unit tests and some chaos cases under the thread sanitizer (Linux)
	@Scripts/install-dependencies.sh
	@Scripts/fetch-servers.sh
	@mkdir -p $(tsan)
	@clang -Wall -Werror -shared -fPIC -O1 -o $(tsan)/runtime.so Tests/ThreadSanitizer/runtime.c -ldl
	@swift build --build-tests --sanitize=thread --disable-default-traits --scratch-path $(tsan)
	@$(tsan_environment) swift test --skip-build --sanitize=thread --disable-default-traits --scratch-path $(tsan) \
	    --disable-xctest --filter RedisStreamsTests
	@swift build --package-path Chaos --sanitize=thread --scratch-path Chaos/$(tsan)
	@REDIS_STREAMS_SERVERS=$$(Scripts/fetch-servers.sh --list) $(tsan_environment) \
	    Chaos/$(tsan)/debug/chaos --quick server-kills resets cancellations shutdowns

# run_bench COMMAND
define run_bench
	@$(install)
	@echo 'Building the benchmark in release mode: some minutes from clean …'
	@swift build -c release --package-path Benchmarks
	@Scripts/with-redis.sh swift run -c release --package-path Benchmarks --skip-build bench $(1) $(ARGS)
endef

bench: ## Build the benchmark in release mode and run it on a private Redis (ARGS are passed to it)
	$(call run_bench,table)

bench-check: ## Run the short form of CI: count allocations, and check that no goal is missed by far
	$(call run_bench,check)

bench-thresholds: ## Count allocations per message and write them to Benchmarks/Thresholds.json
	$(call run_bench,allocations --update)

bench-peers: ## Measure redis-py, valkey-glide and node-redis beside Swift and C
	@Scripts/install-peers.sh
	$(call run_bench,peers)

bench-plots: ## Measure rates against COUNT, size, consumers and backlog, and draw Documentation/Performance/
	@Scripts/install-peers.sh --plots-only
	$(call run_bench,sweeps)
	@$(MAKE) bench-report

bench-report: ## Fill the tables of Documentation/Performance.md and draw its pictures from Benchmarks/.results
	@Scripts/install-peers.sh --plots-only
	@Benchmarks/.peers/bin/python Benchmarks/Plots/draw.py
	@Benchmarks/.peers/bin/python Benchmarks/Plots/tables.py

clean: ## Remove everything that was built or fetched
	@rm -rf .build .build-* Examples/.build Chaos/.build Benchmarks/.build Benchmarks/.peers .servers
