# The thin front door: each target first sees to it that the Debian packages are there, then calls CMake.
# The real build is CMakeLists.txt with CMakePresets.json.

PREFIX ?= /usr/local
CMAKE_BUILD = cmake --build

all: configure
	@$(CMAKE_BUILD) build --target ktap

setup:
	@tools/setup

# Without QEMU or the cross compiler guests are skipped, without Chromium the looks at pictures, by name.
setup-test:
	@tools/setup test
	@tools/setup guests || true
	@tools/setup cross || true
	@tools/setup pictures || true

configure: setup
	@cmake --preset release --log-level=WARNING > /dev/null

# Every system call of the machine, counted by name for five seconds.
run: all
	@tools/run_demo

# Everything, then everything again under ASan and UBSan. The last line is `N passed, 0 failed`.
test: setup-test
	@for preset in release asan; do \
	  cmake --preset $$preset -DKTAP_PRECOMPILE=$(if $(CI),ON,OFF) --log-level=WARNING > /dev/null || exit; done
	@$(CMAKE_BUILD) build -- --quiet
	@$(CMAKE_BUILD) build-asan -- --quiet
	@tools/run_tests.py build build-asan

# The golden `run` cases on arm64, armhf and riscv64, compiled here, under qemu-user. Builds ktap three times.
test-arch: all
	@tools/test_arch

# The kernel cases under other kernels, in QEMU; KERNELS="5.10 6.12-arm64" runs some (tools/guest/README.md).
test-guests: all
	@tools/setup guests cross
	@for arch in arm64 armhf riscv64; do tools/cross $$arch || [ $$? = 77 ] || exit; done
	@$(CMAKE_BUILD) build --target backend_test -- --quiet
	@tools/guest/run_cases.py --dry-runs --program "KTAP_ROUNDS=60 build/backend_test --gtest_filter=*Kernel*" $(KERNELS)

bench:
	@tools/setup bench
	@$(MAKE) --no-print-directory all
	@bench/start.py build/ktap
	@$(CMAKE_BUILD) build --target bench_driver bench_attach gc_pauses symbolise ktap_load -- --quiet
	@bench/kernel/events.py build/ktap
	@bench/kernel/against_c.py build/ktap
	@bench/kernel/lines.py build/ktap
	@bench/kernel/jobs.py build/ktap
	@tests/exact/exact.py --name exact --ktap build/ktap --load build/tests/load --calls 10000000
	@bench/vm/run.py build/ktap
	@build/gc_pauses
	@build/symbolise
	@bench/profile_split.py build/ktap

install: all
	@DESTDIR=$(DESTDIR) cmake --install build --prefix $(PREFIX)

# One file that needs no library; ARCHES="amd64 arm64 armhf" makes it for others too.
static:
	@tools/static $(ARCHES)

# Each of them in a guest of its architecture, with scripts that this machine's ktapc compiled.
test-static: all
	@tools/setup guests cross
	@tools/static amd64 arm64
	@tools/guest/run_cases.py --ktap amd64=build-static/ktap --ktap arm64=build-arm64/ktap \
	  --ktapc build/ktapc 6.1-amd64 6.12-arm64

# build/ktap_VERSION_ARCHITECTURE.deb (packaging/README.md).
deb: all
	@tools/setup deb
	@tools/deb build

clean:
	rm -rf build build-*

.NOTPARALLEL:
.PHONY: all setup setup-test configure run test test-arch test-guests bench install static test-static deb clean
