# Two commands on a fresh machine: `make demo` shows the whole system at work, `make test` passes the tests.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/.ready
# Where it is set, each of the many processes of a run compiles every module again: two seconds of a core each.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-all check bench bench-devices bench-detection boards chaos docs pictures fuzz properties site clean

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("healthmon needs Python 3.11 or newer; try: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $(READY)

demo: $(READY)          ## a simulated hospital, a fault, an incident, a page: needs no answer and no root
	$(BIN)/healthmon demo

test: $(READY)          ## every test that this machine can run; what was skipped is listed
	$(BIN)/python -m pytest -rs -n 3 --dist worksteal $(ARGS)

test-all: $(READY)      ## Debian, root: installs the daemons, builds and starts the image; a skip is a failure except those in tests/optional.txt
	$(BIN)/python tools/install_daemons.py containers
	HEALTHMON_TEST_ALL=1 HEALTHMON_TEST_IMAGE=1 $(BIN)/python -m pytest -rs -n 3 --dist worksteal $(ARGS)

check: $(READY)         ## style, types, layers
	$(BIN)/ruff check src tests tools benchmarks
	$(BIN)/ruff format --check src tests tools benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

fuzz: $(READY)          ## new damaged messages for every parser of network input: minutes (N=examples for each)
	HEALTHMON_FUZZ=$(or $(N),20000) $(BIN)/python -m pytest tests/unit/fuzz tests/wire/test_fuzz_probes.py --timeout=7200 $(ARGS)

properties: $(READY)    ## what must hold in any hospital on any night, on new ones: minutes (N=examples for each)
	HEALTHMON_PROPERTIES=$(or $(N),2000) $(BIN)/python -m pytest tests/faults/test_properties_hospitals.py tests/unit/engine/test_restart_silence.py tests/unit/detect/test_quick.py --timeout=36000 $(ARGS)

chaos: $(READY)         ## kills, cuts, loss, delay, full disks, wrong clocks while a service goes down and up (N=faults; root for all)
	HEALTHMON_CHAOS=$(or $(N),200) $(BIN)/python -m pytest tests/faults/test_chaos.py -s -p no:randomly --reruns 0 --timeout=36000 $(ARGS)

bench: $(READY)         ## measured beside the peers, in one run
	$(BIN)/python -m benchmarks

bench-devices: $(READY) ## recordings of real devices through the SNMP probe: facts right, wrong, missing (ARGS=-v, ARGS=FOLDER)
	$(BIN)/python -m benchmarks.devices $(ARGS)

bench-detection: $(READY) ## seeded faults in synthetic hospitals through the engine: cause, impact, severity, pages (ARGS=--help)
	$(BIN)/python -m benchmarks.faultbench $(ARGS)

boards: $(READY)        ## write the Grafana boards again, for InfluxDB and for Prometheus
	$(BIN)/python tools/boards

pictures: $(READY)      ## the pictures of docs/: pages, boards, report, in a browser on the simulated hospital (Chromium, influxd, a quiet machine; some six minutes)
	@echo "three minutes of a night on the board, then three of faults on the boards, then the report; nothing is said meanwhile"
	HEALTHMON_PICTURES=docs $(BIN)/python -m pytest tests/e2e/test_night.py tests/demo/test_demo_influxdb.py $(ARGS)
	PYTHONPATH=. $(BIN)/python tools/report_picture.py

docs: $(READY)          ## write again what is generated: config and API reference, boards
	$(BIN)/python tools/generate.py

site: $(READY)          ## the documentation as a site, in build/site
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	$(BIN)/python tools/site.py

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache
