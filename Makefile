# Thin verbs. Each works alone on a fresh Debian 12 with Python 3.11 and Go 1.26: what it needs is installed first,
# and only what is missing (hack/bootstrap).

BOOTSTRAP := python3 -m hack.bootstrap
PYTHON := .venv/bin/python
PYTEST := $(PYTHON) -m pytest --durations=15
# Two processes side by side, each with clusters and hosts of its own: most tests wait more than they work.
IN_TWO := --numprocesses=2 --dist=worksteal
IMAGES := $(PYTHON) -m hack.images build
GO_BUILDS := $(PYTHON) -m hack.devcluster build >/dev/null && $(PYTHON) -m hack.helm build >/dev/null

.DEFAULT_GOAL := help
.PHONY: help demo demo-down test test-unit test-integration test-libvirt test-browser test-e2e test-cluster test-kubernetes lint docs crds bench bench-cluster bench-console bench-faults bench-scale bench-scheduler clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## boot a virtual machine from nothing: control plane, host, operator, agent, kubectl apply (12 min cold, 1 min warm)
	@$(BOOTSTRAP) cluster libvirt guest web
	@$(PYTHON) -m hack.demo up

demo-down: ## take all of the demo away
	@$(BOOTSTRAP) unit
	@$(PYTHON) -m hack.demo down

test: lint ## lint, then all tests (some 50 min on two cores, 15 min more where nothing was compiled yet); root
	@$(BOOTSTRAP) cluster libvirt guest web browser nodes images
	@# What a machine without a cache compiles for minutes is made beside the tests that need none of it; then it is there,
	@# or says why not.
	@($(GO_BUILDS)) 2>/dev/null & $(PYTEST) $(IN_TWO) tests/unit; status=$$?; wait; exit $$status
	@$(GO_BUILDS)
	@# A run for each suite: what one has started does not run on beside the next. All are run, whatever fails.
	@nice $(IMAGES) >/dev/null 2>&1 & \
	for suite in integration libvirt; do $(PYTEST) $(IN_TWO) tests/$$suite || failed="$$failed $$suite"; done; \
	$(IMAGES) || failed="$$failed images"; \
	for suite in browser e2e cluster; do $(PYTEST) tests/$$suite || failed="$$failed $$suite"; done; \
	[ -z "$$failed" ] || { echo "failed:$$failed"; exit 1; }

test-unit: ## pure logic: seconds; no root, Go or libvirt
	@$(BOOTSTRAP) unit
	$(PYTEST) $(IN_TWO) tests/unit

test-integration: ## against a real API server; no root once openssl is there
	@$(BOOTSTRAP) cluster
	@$(GO_BUILDS)
	$(PYTEST) $(IN_TWO) tests/integration

test-libvirt: ## on lab hosts with real libvirt and QEMU; root
	@$(BOOTSTRAP) cluster libvirt guest
	@$(PYTHON) -m hack.devcluster build >/dev/null
	$(PYTEST) $(IN_TWO) tests/libvirt

test-browser: ## the consoles' page in Chromium, with a real guest behind it; root
	@$(BOOTSTRAP) libvirt guest web browser
	$(PYTEST) tests/browser

test-e2e: ## the whole of it, as a user meets it; root
	@$(BOOTSTRAP) cluster libvirt guest web browser
	@$(PYTHON) -m hack.devcluster build >/dev/null
	$(PYTEST) tests/e2e

test-cluster: ## the images, and installed from them by Helm on nodes with kubelet; root
	@$(BOOTSTRAP) cluster libvirt guest nodes images
	@$(GO_BUILDS)
	@$(IMAGES)
	$(PYTEST) tests/cluster

test-kubernetes: ## what depends on the version, on another Kubernetes: make test-kubernetes KUBERNETES=1.34 (1.32 to 1.36)
	@$(BOOTSTRAP) cluster
	@$(GO_BUILDS)
	@for suite in devcluster api operator chart gitops rights; do \
	$(PYTEST) tests/integration/$$suite || failed="$$failed $$suite"; done; \
	[ -z "$$failed" ] || { echo "failed:$$failed"; exit 1; }

lint: ## style, types, import contracts, and whether crds/ and docs/ are what the code says
	@$(BOOTSTRAP) unit
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/mypy -p hack
	.venv/bin/lint-imports
	$(PYTHON) -m hypernova_api.crds --check --reference docs/reference.md crds
	$(PYTHON) -m hack.docs --check
	$(PYTHON) -m hack.helm docs --check

docs: ## write the tables of docs/ and of the chart's README anew from the code
	@$(BOOTSTRAP) unit
	$(PYTHON) -m hack.docs
	$(PYTHON) -m hack.helm docs

crds: ## write crds/ and docs/reference.md anew from the models in api/
	@$(BOOTSTRAP) unit
	$(PYTHON) -m hypernova_api.crds --reference docs/reference.md crds

bench: ## how fast and how heavy; ends with RESULT lines; root
	@$(BOOTSTRAP) cluster libvirt guest
	@$(PYTHON) -m hack.devcluster build >/dev/null
	$(PYTHON) -m tests.bench

bench-cluster: ## installed by Helm: to a first guest, what our Pods take, the loss of the leader; BENCH_GUESTS narrows it; root
	@$(BOOTSTRAP) cluster libvirt guest nodes images
	@$(GO_BUILDS)
	@$(IMAGES)
	PYTHONPATH=tests $(PYTHON) -m tests.bench.cluster

bench-console: ## 200 sessions through one console proxy, beside a bare socket and websockify; BENCH_SESSIONS narrows it
	@$(BOOTSTRAP) cluster libvirt guest
	$(PYTHON) -m tests.bench.console

bench-faults: ## a thousand faults over ten thousand operations, in virtual time; FAULTS, SEED, BACKEND narrow it
	@$(BOOTSTRAP) unit
	PYTHONHASHSEED=0 PYTHONPATH=tests $(PYTHON) -m tests.bench.faults

bench-scale: ## a thousand simulated hypervisors, thousands of Instances; BENCH_HOSTS, BENCH_INSTANCES, BENCH_RATE narrow it
	@$(BOOTSTRAP) cluster
	@$(PYTHON) -m hack.devcluster build >/dev/null
	$(PYTHON) -m tests.bench.scale

bench-scheduler: ## a decision's time and memory, beside OpenStack Nova's own (BENCH_HOSTS="100 1000", BENCH_NOVA=0)
	@$(BOOTSTRAP) unit
	$(PYTHON) -m tests.bench.scheduler

clean: ## remove what was made in this folder; what was built for all checkouts stays in ~/.cache/hypernova
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
