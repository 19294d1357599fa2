# `make help` lists the targets. Scripts do the work; see docs/testing.md for the tests.

PREFIX ?= /usr/local
DESTDIR ?=
STAGE1_IMAGES := $(PREFIX)/lib/rkt/stage1-images

target := $(abspath $(or $(CARGO_TARGET_DIR),target))
static := $(target)/x86_64-unknown-linux-gnu
# Static binaries of glibc. Always with --target: the flag must not reach build scripts and procedural macros.
cargo_static := RUSTFLAGS="$(RUSTFLAGS) -C target-feature=+crt-static" \
	LIBSECCOMP_LINK_TYPE=static LIBSECCOMP_LIB_PATH=$(dir $(shell gcc -print-file-name=libseccomp.a)) \
	LIBCAPNG_LINK_TYPE=static LIBCAPNG_LIB_PATH=$(dir $(shell gcc -print-file-name=libcap-ng.a)) \
	cargo build --locked --target x86_64-unknown-linux-gnu

.PHONY: all rkt stage1 hostile-stage1 agent vmlinux image deps demo test check unit pods fuzz bench bench-programs install kvm-shell clean help
.NOTPARALLEL:

all: image rkt

# Where an installed rkt looks for its stage1 image is compiled in.
rkt: have-deps
	RKT_STAGE1_IMAGES_DIR=$(STAGE1_IMAGES) cargo build --locked --release -p stage0

stage1: have-deps
	$(cargo_static) --release -p vmm --bin stage1

agent: have-deps
	$(cargo_static) --profile agent -p agent --bin agent

vmlinux: have-deps
	guest-kernel/build

# Beside the binary, too, where an rkt that is not installed looks.
image: stage1 agent vmlinux
	resources/stage1/pack $(static)/release/stage1 $(static)/agent/agent build/vmlinux build/stage1-kvm.aci
	ln -sf $(abspath build/stage1-kvm.aci) $(target)/release/stage1-kvm.aci

# A stage1 whose threads attack their host when a test tells them to. Of the same parts as the real one, but for the crate itself.
hostile-stage1: have-deps
	$(cargo_static) --release -p vmm --features hostile-hook --example hostile-stage1

.PHONY: have-deps
have-deps:
	@resources/provision -n build

deps:
	resources/provision build host test

demo:
	resources/provision build host
	$(MAKE) all
	resources/demo/run $(target)/release/rkt build/stage1-kvm.aci

test:
	tests/all

check:
	tests/check

unit:
	tests/unit

pods: all
	tests/run

# "make fuzz SECONDS=600 TARGETS='tar mmio_fs'".
fuzz: have-deps
	tests/fuzz $(or $(SECONDS),60) $(TARGETS)

# "make bench ROUNDS=5 BENCH=boot" is a short look at one of them; with BASE=v2.0 that revision is built too, and measured beside.
bench: all bench-programs
	tests/bench/run $(ROUNDS) $(BENCH)

bench-programs: have-deps
	cargo build --locked --release -p tests --bin bench
	$(cargo_static) --release -p tests --bin first-instruction --bin file-load --bin net-peer
	$(cargo_static) --release -p vmm --example boot

install: all
	install -D -m 755 $(target)/release/rkt $(DESTDIR)$(PREFIX)/bin/rkt
	install -D -m 644 build/stage1-kvm.aci $(DESTDIR)$(STAGE1_IMAGES)/stage1-kvm.aci
	rm -rf build/share
	mkdir -p build/share/man/man1 build/share/bash-completion/completions build/share/zsh/site-functions \
		build/share/fish/vendor_completions.d
	$(target)/release/rkt help --man=build/share/man/man1
	$(target)/release/rkt completion bash >build/share/bash-completion/completions/rkt
	$(target)/release/rkt completion zsh >build/share/zsh/site-functions/_rkt
	$(target)/release/rkt completion fish >build/share/fish/vendor_completions.d/rkt.fish
	for file in rkt-gc.service rkt-gc.timer rkt-image-gc.service rkt-image-gc.timer; do \
		install -D -m 644 resources/systemd/$$file $(DESTDIR)$(PREFIX)/lib/systemd/system/$$file || exit; done
	install -D -m 644 resources/systemd/rkt.sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/rkt.conf
	install -D -m 644 resources/systemd/rkt.tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/rkt.conf
	for file in resources/systemd/examples/*; do \
		install -D -m 644 $$file $(DESTDIR)$(PREFIX)/share/doc/rkt/examples/$${file##*/} || exit; done
	cd build/share && find . -type f -exec install -D -m 644 {} $(DESTDIR)$(abspath $(PREFIX))/share/{} \;

kvm-shell:
	@resources/provision host
	@tests/kvm-host/run -i

clean:
	rm -rf build
	cargo clean

help:
	@echo "make            build rkt, stage1, the agent, the guest kernel and the stage1 image"
	@echo "make deps       install the Debian packages that building and testing need (root)"
	@echo "make demo       all that, and a first pod (root)"
	@echo "make test       packages, build, every check and every test (root)"
	@echo "make check      formatting, clippy, dependency policy"
	@echo "make unit       unit tests"
	@echo "make pods       whole-pod tests, in the KVM host (root); TESTS='words' picks some"
	@echo "make fuzz       every fuzz target for SECONDS=60 (root); TARGETS='words' picks some"
	@echo "make bench      side by side with QEMU's microvm, skopeo and umoci (root)"
	@echo "make install    into DESTDIR PREFIX, by default /usr/local"
	@echo "make kvm-shell  a shell where guests can run (root)"
	@echo "make clean      remove what was built; kernels stay in RKT_KERNEL_CACHE"
