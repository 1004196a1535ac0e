# make run: sets up and lists this machine's sockets with their owners.  make test: sets up and runs the whole suite.
VENV := .venv
PYTHON := $(VENV)/bin/python
CODE := netinspect tests netns-lab benchmarks examples scripts

# Without compiled files every start of the program would compile it anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test check man bench fuzz traced churn signals examples screenshots test-containers test-kernels kernel clean

$(VENV)/made: pyproject.toml
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "netinspect needs Python 3.11 or later" >&2; exit 1; }
	@python3 -m venv $(VENV) || { echo "python3 -m venv failed: on Debian and Ubuntu it is in the package python3-venv" >&2; exit 1; }
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(PYTHON) -m pip install --quiet --editable .
	touch $@

$(VENV)/made-for-tests: $(VENV)/made
	$(PYTHON) -m pip install --quiet --editable '.[test,check]'
	touch $@

run: $(VENV)/made
	@# 3: not every owner may be seen, as for anybody but root; the listing says so.
	$(VENV)/bin/netinspect sockets --tcp --udp --all --processes || [ $$? -eq 3 ]

test: $(VENV)/made-for-tests
	$(PYTHON) tests/in_parts.py -q

check: $(VENV)/made-for-tests
	$(PYTHON) -m ruff check $(wildcard $(CODE))
	$(PYTHON) -m ruff format --check $(wildcard $(CODE))
	$(PYTHON) -m mypy

# Walks through random rulesets against the kernel's trace: 2000 packets, where the suite has a few hundred.
traced: $(VENV)/made-for-tests
	NETINSPECT_TRACED_PAIRS=$(or $(PAIRS),2000) NETINSPECT_TRACED_SEED=$(or $(SEED),1) \
		$(PYTHON) -m pytest -q -s tests/netfilter/test_netfilter_trace.py

# Lists each table 2,000 times while it changes 2,000 times a second; the suite does so a few times.
churn: $(VENV)/made-for-tests
	NETINSPECT_CHURN_LISTINGS=$(or $(LISTINGS),2000) $(PYTHON) -m pytest -q -rP tests/engine/test_churn.py

# Signals at MOMENTS random moments of each command, where the suite has two: some hours for 1,000.
signals: $(VENV)/made-for-tests
	printf '%s\n' 1 2 3 4 | xargs -P 4 -I{} env NETINSPECT_SIGNAL_SEED={} \
		NETINSPECT_SIGNAL_MOMENTS=$$(( ($(or $(MOMENTS),1000) + 3) / 4 )) \
		$(PYTHON) -m pytest -q -p no:cacheprovider tests/test_signals.py

# Names of containers with real ones: needs root, podman, a runtime and a static busybox; no image is fetched.
test-containers: $(VENV)/made-for-tests
	$(PYTHON) -m pytest -q tests/engine/containers/real_podman.py

# The suite on another kernel, or on each: KERNEL=6.12 PART="tests/nouns/links tests/netstat" (default: all of it).
test-kernels: $(VENV)/made-for-tests
	$(PYTHON) tests/kernels/run.py $(foreach kernel,$(KERNEL),--kernel $(kernel)) $(if $(GUESTS),--guests $(GUESTS)) $(PART)

# The kernel 6.1-net, with nearly all of networking: 8 to 20 minutes, once.
kernel: $(VENV)/made-for-tests
	$(PYTHON) tests/kernels/build.py

# Tries many examples of each property of what is read and written: EXAMPLES for each, where the suite has a few dozen.
examples: $(VENV)/made-for-tests
	NETINSPECT_EXAMPLES=$(or $(EXAMPLES),1000) $(PYTHON) -m pytest -q -m hypothesis

man: $(VENV)/made
	$(VENV)/bin/netinspect help --man > docs/netinspect.1

# The pictures of the README: the live view over a lab with traffic of its own.
screenshots: $(VENV)/made-for-tests
	$(PYTHON) scripts/screenshots.py

$(VENV)/made-for-benchmarks: $(VENV)/made
	$(PYTHON) -m pip install --quiet --editable '.[bench]'
	touch $@

bench: $(VENV)/made-for-benchmarks
	$(PYTHON) scripts/build_bytecode.py
	$(PYTHON) benchmarks/run.py $(if $(SCALE),--scale $(SCALE))

# Led by coverage where atheris can be installed, else at random.
$(VENV)/made-for-fuzzing: $(VENV)/made-for-tests
	$(PYTHON) -m pip install --quiet --editable '.[fuzz]' || echo "no atheris here: inputs are made at random" >&2
	touch $@

fuzz: $(VENV)/made-for-fuzzing
	$(PYTHON) tests/fuzz/run.py --seconds $(or $(SECONDS),60)

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
