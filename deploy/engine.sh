# shellcheck shell=bash
# Sourced by container-test.sh and compose-test.sh: a directory to work in, words, and a separate Docker engine where there
# is none (root, Debian's docker.io). The sourcing script sets `name` before, and traps EXIT with a `finish` that ends in end_engine.
work="$(mktemp -d)"
engine=""

say() { echo "$name: $*"; }
fail() {
	echo "$name: FAILED: $*" >&2
	if declare -F explain >/dev/null; then explain >&2 || true; fi
	exit 1
}

# start_engine [flags of dockerd…]
start_engine() {
	docker info >/dev/null 2>&1 && return
	command -v dockerd >/dev/null || fail "there is no Docker engine; install docker.io, or start one and set DOCKER_HOST"
	[ "$(id -u)" = 0 ] || fail "there is no Docker engine, and only root can start one; set DOCKER_HOST"
	say "starting a separate Docker engine"
	export DOCKER_HOST="unix://$work/docker.sock"
	ip link show docker0 >/dev/null 2>&1 || iptables-save >"$work/iptables" 2>/dev/null || true
	dockerd --host "$DOCKER_HOST" --data-root "${DOCKER_DATA:-$work/data}" --exec-root "$work/exec" --pidfile "$work/pid" \
		--exec-opt native.cgroupdriver=cgroupfs "$@" >"$work/dockerd.log" 2>&1 &
	engine=$!
	for _ in $(seq 100); do docker info >/dev/null 2>&1 && return; sleep 0.2; done
	tail -20 "$work/dockerd.log" >&2
	fail "the engine did not come up"
}

end_engine() {
	if [ -n "$engine" ]; then
		kill "$engine" 2>/dev/null || true
		wait "$engine" 2>/dev/null || true
		# The network of the host, which an engine that ends leaves mounted.
		umount "$work"/exec/netns/* 2>/dev/null || true
		# So with its bridge and rules, if there were none before.
		if [ -e "$work/iptables" ] && ip link delete docker0 2>/dev/null; then iptables-restore <"$work/iptables" || true; fi
	fi
	rm -rf "$work"
}

free_port() {
	node -e 'const server = require("net").createServer().listen(0, "127.0.0.1", () => server.close(console.log(server.address().port)))'
}

# As many as the 12,000 connections of a full cluster want, or what this machine allows.
files_limit() {
	local files
	files="$(ulimit -Hn)"
	[ "$files" != unlimited ] && [ "$files" -lt 65536 ] || files=65536
	echo "$files"
}

# here_or IMAGE COMMAND…: unless the image is here or can be pulled, COMMAND makes a stand-in
here_or() {
	docker image inspect "$1" >/dev/null 2>&1 || docker pull -q "$1" >/dev/null 2>&1 || "${@:2}"
}
