# `make run` is all that is needed for a first look; `make help` lists the rest.

VENV       := .venv
PY         := $(VENV)/bin/python
UV         := $(VENV)/bin/uv
BASE       := models/faster-whisper-base/model.bin
SAMPLE     := samples/please-hold-ru.wav

# Which weights `make weights` puts in place. With DOWNLOAD=1 the hub is asked for what is not here.
MODEL      := base
DOWNLOAD   :=

# Empty unless given, as in `make lock UPGRADE=--upgrade`: without it the pins stay as they are.
UPGRADE    ?=

# The first interpreter here that the locked packages have builds for.
SUITABLE   := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON     ?= $(shell for p in python3 python3.11 python3.12 python3.13; do \
                "$$p" -c "$(SUITABLE)" 2>/dev/null && echo "$$p" && break; done)

# uv refuses to work without a cache; where the home folder cannot hold one, the project does.
export UV_CACHE_DIR ?= $(shell d="$${XDG_CACHE_HOME:-$${HOME:+$$HOME/.cache}}"; \
                test -n "$$d" && mkdir -p "$$d/uv" 2>/dev/null && test -w "$$d/uv" \
                && echo "$$d/uv" || echo "$(CURDIR)/.cache/uv")

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test handover cluster cluster-head cluster-join lint audit soak accuracy profile bench bench-daemon bench-live image-check venv weights lock messages clean

help: ## show this list
	@sed -n 's/^\([a-z][a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 22

run: $(VENV)/.installed $(BASE) ## install what is missing, then watch shared/ (the first time with a sample)
	@exec $(PY) transcriber.py run --first-run-sample $(SAMPLE)

test: $(VENV)/.installed-dev $(BASE) lint ## everything that must hold: lint, types, tests
	$(PY) -m pytest -n 4 $(BY_FILE) --ignore tests/acceptance
	$(PY) -m pytest -n 2 $(BY_FILE) tests/acceptance
	@$(PY) -m tests.audit || test $$? -eq $(NOT_ASKED)

lint: $(VENV)/.installed-dev ## style, types, the direction of imports, dangerous calls
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/bandit --quiet --configfile pyproject.toml --recursive $(WATCHED)

audit: $(VENV)/.installed-dev ## ask whether a pinned package has a known weakness (over the network)
	@$(PY) -m tests.audit $(ARGS)

soak: $(VENV)/.installed-dev $(BASE) ## the tests that need numbers: a million steps, a thousand kills (hours)
	TRANSCRIBER_SOAK=1 $(PY) -m pytest --timeout=14400 tests/simulation tests/failpoints \
		tests/integration/test_kills.py tests/integration/test_masses.py tests/integration/test_edits.py \
		tests/integration/test_disk_full.py tests/integration/test_fuzzed_requests.py \
		tests/integration/test_schema.py tests/integration/test_planted_files.py \
		tests/integration/test_fault_storage.py tests/integration/test_somebody_elses_files.py \
		tests/integration/test_handover.py tests/integration/test_swapped_folders.py tests/integration/test_large_upload.py \
		tests/page/test_looks.py tests/page/test_listening.py \
		tests/deployment/test_nginx.py tests/cluster/test_kills.py \
		tests/integration/test_live.py tests/integration/test_live_chaos.py \
		tests/unit/audio/test_fuzz.py tests/acceptance/test_kills_real.py \
		tests/acceptance/test_cluster_losses.py tests/acceptance/test_live_chaos.py tests/acceptance/test_hostile_media.py \
		tests/acceptance/test_whisperx_engine.py

profile: $(VENV)/.installed-dev $(BASE) ## where a second of a job goes (2 min; ARGS="--lengths 60 --fast")
	$(PY) -m benchmarks.profile $(ARGS)

accuracy: $(VENV)/.installed-dev $(BASE) ## word error rates, word times, confidence, against whisperx (20 min; ARGS="--limit 3")
	$(PY) -m benchmarks.accuracy $(if $(ARGS),$(ARGS),--picture docs/confidence.svg)

bench: $(VENV)/.installed-dev $(BASE) ## the daemon beside the whisperx command and faster-whisper's batches (about 40 min; ARGS="--lengths 10,60")
	$(PY) -m benchmarks.bench $(if $(ARGS),$(ARGS),--json docs/bench.json --picture docs/bench.svg)

bench-daemon: $(VENV)/.installed-dev $(BASE) ## what the daemon itself costs: folders of 100,000 files, the queue, idling (about 15 min)
	$(PY) -m benchmarks.household $(ARGS)

bench-live: $(VENV)/.installed-dev $(MODEL) ## how soon live words are shown, committed and final (2 min; ARGS="--sessions 3")
	$(PY) -m benchmarks.live_child $(ARGS)

image-check: $(VENV)/.installed-dev ## the Dockerfile's steps in a chroot, then the daemon from there (root; ARGS=--stand-in)
	$(PY) -m tests.deployment.container $(ARGS)

handover: $(VENV)/.installed-handover ## install what `handover:` needs: RQ and a client of Redis

cluster: $(VENV)/.installed-ray ## install what `workers.kind: ray` needs: work on several machines

cluster-head: $(VENV)/.installed-ray ## begin a cluster on this machine (ARGS="--host 10.0.0.1" for other machines)
	@exec $(PY) transcriber.py cluster head $(ARGS)

cluster-join: $(VENV)/.installed-ray $(BASE) ## give this machine's processors to a cluster (HEAD=10.0.0.1:6379)
	@test -n "$(HEAD)" || { echo "Name the head: make cluster-join HEAD=10.0.0.1:6379" >&2; exit 1; }
	@exec $(PY) transcriber.py cluster join "$(HEAD)" $(ARGS)

venv: $(VENV)/.installed-dev ## install everything, for development

weights: $(VENV)/.installed ## put Whisper base into models/ and verify it (MODEL=small DOWNLOAD=1 fetches another)
	$(PY) -m modules.weights.store $(if $(DOWNLOAD),--download) "$(MODEL)"

lock: $(UV) ## pin requirements*.in (UPGRADE=--upgrade takes newer versions)
	$(COMPILE) requirements.in -o requirements.lock
	$(COMPILE) requirements-onnx.in -c requirements.lock -o requirements-onnx.lock
	$(COMPILE) requirements-dev.in -c requirements.lock -o requirements-dev.lock
	$(COMPILE) requirements-handover.in -c requirements.lock -o requirements-handover.lock
	$(COMPILE) requirements-ray.in -c requirements.lock -o requirements-ray.lock
	$(COMPILE) requirements-uv.in -o requirements-uv.lock
	$(COMPILE) tests/clients/python.in -o tests/clients/python.lock
	$(subst 3.11,3.12,$(COMPILE)) tests/clients/bridge.in -o tests/clients/bridge.lock

messages: $(VENV)/.installed-dev ## bring the translations of all messages up to date, and compile them
	mkdir -p build
	$(BABEL) extract --no-location --keyword noted --output build/$(DOMAIN).pot modules \
		transcriber.py
	$(BABEL) update --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --width 100 \
		--domain $(DOMAIN) --input-file build/$(DOMAIN).pot --output-dir modules/locale
	$(BABEL) compile --statistics --domain $(DOMAIN) --directory modules/locale

clean: ## remove what can be made again; never shared/ or manual/
	rm -rf $(VENV) models build .cache .mypy_cache .ruff_cache .import_linter_cache \
		.pytest_cache .hypothesis .schemathesis *.egg-info
	find . \( -path ./shared -o -path ./manual -o -path ./.git \) -prune \
		-o -name __pycache__ -type d -prune -exec rm -rf {} +

# Where this is set, as in images of Python, each process of the tests would compile all of them, and
# each daemon all of the program.
test: export PYTHONDONTWRITEBYTECODE :=

# Most tests wait, so more processes than cores keep the cores busy; fewer where the model works.
# Files start in the order of their names: by the number of their tests, the longest would be last.
BY_FILE := --dist loadfile --no-loadscope-reorder

BABEL  := $(VENV)/bin/pybabel --quiet
DOMAIN := transcriber

# What bandit reads. Not the tests: they assert, and hold keys that open nothing.
WATCHED := modules transcriber.py setup.py docs benchmarks samples tests/audit.py
# What tests/audit.py ends with when nobody could be asked: it says so, and `make test` goes on, as
# the program is built without a network too. `make audit` fails.
NOT_ASKED := 75

# One lock for Linux, macOS and ARM alike; hashes of every file that may be installed.
COMPILE = $(UV) $(SYSTEM_CERTS) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make lock" --override requirements-left-out.txt \
	$(UPGRADE)
# The machine's own certificates know a company's proxy; uv's built-in ones do not.
CERTIFICATES := $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt)
SYSTEM_CERTS := $(if $(CERTIFICATES),--system-certs)
# The locks hold everything but what was left out on purpose, so nothing is to be added to them.
# Compiled here, as the WhisperX process may write nothing and would compile anew at each start.
INSTALL = $(UV) $(SYSTEM_CERTS) pip install --python $(PY) --require-hashes --no-deps \
	--compile-bytecode -r

$(UV): requirements-uv.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed and was not found here." \
		"Install one, or name it: make run PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c "$(SUITABLE)" || { echo "$(PYTHON) is not Python 3.11, 3.12 or 3.13," \
		"which this program needs." >&2; exit 1; }
	@test -x $(VENV)/bin/pip || "$(PYTHON)" -m venv $(VENV) || { echo "$(PYTHON) could not make a virtual environment;" \
		"on Debian and Ubuntu, install the package python3-venv." >&2; exit 1; }
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
		-r requirements-uv.lock
	@touch $@

# `install`, not `sync`: after `make test`, `make run` leaves the development packages alone.
$(VENV)/.installed: requirements.lock | $(UV)
	@echo "Installing the pinned packages: about 4 GB to download the first time, 7.5 GB on disk."
	$(INSTALL) requirements.lock
	@touch $@

$(VENV)/.installed-handover: requirements-handover.lock $(VENV)/.installed | $(UV)
	$(INSTALL) requirements-handover.lock
	@touch $@

$(VENV)/.installed-ray: requirements-ray.lock $(VENV)/.installed | $(UV)
	$(INSTALL) requirements-ray.lock
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed-handover $(VENV)/.installed-ray | $(UV)
	$(INSTALL) requirements-dev.lock
	@touch $@

$(BASE): | $(VENV)/.installed
	$(PY) -m modules.weights.store base
