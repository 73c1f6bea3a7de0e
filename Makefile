# Every target sets up what it needs first, once, in .venv.
PYTHON ?= python3
IMAGE ?= docs/photo.jpg
OUT ?= crops
RUN ?= runs/student
export HTTP_PORT ?= 8000
export GRPC_PORT ?= 8001
export METRICS_PORT ?= 8002
WEB_PORT ?= 8080
IMAGE_KIND ?= embedded

# Said at once, instead of pip's search for packages that there are none of.
define CHECK_PYTHON
import sys
if not (3, 10) <= sys.version_info[:2] <= (3, 12):
    sys.exit(f"error: the server needs Python 3.10 to 3.12, and {sys.executable} is {sys.version.split()[0]}: make PYTHON=python3.12 ...")
endef
export CHECK_PYTHON

BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help crop test docs fuzz detectors test-elsewhere test-pythons test-lowest serve web export export-trt train perf soak figures lint format lock image clean

help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

crop: .venv/.server ## crop IMAGE=photo.jpg into OUT=crops, with an overlay picture
	@$(BIN)/python -m server -- $(BIN)/gazecrop crop --server localhost:$(GRPC_PORT) \
		--ratio 16:9 --ratio 1:1 --ratio 4:5 --overlay --out "$(OUT)" "$(IMAGE)"

serve: .venv/.server ## serve on 127.0.0.1 until Ctrl-C (HTTP_PORT, GRPC_PORT, METRICS_PORT)
	@$(BIN)/python -m server

web: .venv/.server .venv/.web ## look at photos in the browser: http://127.0.0.1:8080 until Ctrl-C (WEB_PORT)
	@$(BIN)/python -m server -- $(BIN)/python -m gazecrop.web --server localhost:$(GRPC_PORT) --port $(WEB_PORT)

test: .venv/.dev .venv/.detectors .venv/perf_analyzer .venv/prometheus ## run all tests, the end-to-end ones against the embedded Triton
	$(BIN)/pytest

fuzz: .venv/.dev ## send 120,000 mutated photos through the decoders and the client; takes minutes
	@$(BIN)/python -W ignore -m tests.fuzz

test-elsewhere: .venv/.dev .venv/perf_analyzer ## test as on quite another machine: cores, instructions, locale, folder
	@tests/elsewhere.sh

# pyenv shows the Pythons it has only to those who name them.
test-pythons: .venv/.dev ## test the client on each Python from 3.10 that is here, with numpy 1 and 2
	@PYENV_VERSION="$$(pyenv versions --bare 2>/dev/null | paste -sd : -)" \
		$(BIN)/python -m server -- $(BIN)/nox --session pythons

test-lowest: .venv/.dev ## test the client with the lowest versions of packages that it declares
	@PYENV_VERSION="$$(pyenv versions --bare 2>/dev/null | paste -sd : -)" \
		$(BIN)/python -m server -- $(BIN)/nox --session lowest

lint: .venv/.dev ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/.dev ## write all sources in the house's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# WEIGHTS: `python -m training.networks.pretrained` makes what it holds; the README shows how.
# On a CPU, giving every batch's memory back to the system takes half of the time: glibc keeps it.
train: .venv/.export ## gaze data to an exported student: DATA=folder WEIGHTS=folder [START=checkpoint] [RUN=runs/student]
	@test -n "$(DATA)" -a -n "$(WEIGHTS)" || { \
		echo "error: name the folders: make train DATA=folder WEIGHTS=folder"; exit 1; }
	MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=20000000000 $(BIN)/python -m training --data "$(DATA)" --weights "$(WEIGHTS)" --out "$(RUN)" $(if $(START),--start "$(START)")
	$(BIN)/python -m export.onnx --checkpoint "$(RUN)/student.safetensors" --out "$(RUN)/model.onnx"

detectors: .venv/.detectors ## install what finds heads and text in the photos to train on

export: .venv/.export ## export the checkpoint to ONNX and to 8 bits, checked against it on real photos
	$(BIN)/python -m export.onnx
	$(BIN)/python -m export.int8

export-trt: .venv/.tensorrt ## build the TensorRT plan, inside the serving image [TRT=--hardware-compatible]
	$(BIN)/python -m export.tensorrt $(TRT)

docs: .venv/.docs ## build the documentation, links checked, into build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/site is ready: $(BIN)/python -m http.server --directory build/site shows it"

figures: .venv/.dev ## write the figures in the documents anew, from what was measured
	@$(BIN)/python -m perf.figures

perf: .venv/.perf .venv/perf_analyzer ## measure how fast all is, into perf/report.md; takes minutes [TWITTER=FILE.onnx]
	@$(BIN)/python -m perf.report $(if $(TWITTER),--twitter "$(TWITTER)")

soak: .venv/.perf ## load the server for half an hour, killing its processes, into perf/report.md [SOAK="--minutes 5"]
	@$(BIN)/python -m perf.measurements.soak $(SOAK)
	@$(BIN)/python -m perf.report --write

# Triton's load generator, whose libraries are in nvidia-pytriton's wheel.
.venv/perf_analyzer: perf/instruments/install.py | .venv/.perf
	@$(BIN)/python -m perf.instruments.install
	@touch $@

# Locks of what the images install: embedded.Dockerfile's Debian 12, and NVIDIA's Ubuntu 24.04.
LOCK = $(BIN)/uv pip compile --quiet --upgrade pyproject.toml --constraint deploy/constraints.txt --generate-hashes \
	--only-binary :all: --no-binary pyvips --no-header --no-annotate

lock: .venv/.images ## lock what the images install, with hashes; deploy/constraints.txt says what stays
	$(LOCK) --extra server --python-version 3.11 --python-platform x86_64-manylinux_2_36 \
		--output-file deploy/requirements/embedded.txt
	$(LOCK) --extra decoding --python-version 3.12 --python-platform x86_64-manylinux_2_39 \
		--output-file deploy/requirements/triton.txt
	$(LOCK) --extra decoding --extra dali --python-version 3.12 --python-platform x86_64-manylinux_2_39 \
		--output-file deploy/requirements/gpu.txt
	$(LOCK) --extra tensorrt --extra tensorrt-bindings --python-version 3.12 --python-platform x86_64-manylinux_2_39 \
		--output-file deploy/requirements/export.txt

image: .venv/.images ## build an image and try it, with docker, podman or buildah [IMAGE_KIND=embedded|cpu|gpu|export]
	@$(BIN)/python -m deploy.image $(IMAGE_KIND)

# Debian's Prometheus, unpacked: no package index has it. Tests that need it are skipped elsewhere.
.venv/prometheus: | .venv/.dev
	@mkdir -p $@.partial && cd $@.partial && { \
		{ apt-get download prometheus || { apt-get update && apt-get download prometheus; }; } \
		&& dpkg-deb --extract prometheus_*.deb .; } > log 2>&1 \
		&& mv ../prometheus.partial ../prometheus \
		|| echo "no Prometheus here (.venv/prometheus.partial/log says why): its tests are skipped"

clean: ## remove what these targets make again: .venv and caches; never runs or crops
	rm -rf .venv .nox .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.%: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -c "$$CHECK_PYTHON"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "setting up .venv for: $*"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@
.PRECIOUS: .venv/.%

.venv/.detectors: training/detectors/packages.txt
	@test -x $(BIN)/python || $(PYTHON) -c "$$CHECK_PYTHON"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "setting up .venv for: detectors"
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --upgrade \
		--target .venv/detectors --requirement $<
	@touch $@
