#!/usr/bin/env bash
# Builds the image and shows that the cluster in it keeps to its container: as many shards as the quota has CPUs, no privilege,
# nothing written to the root file system, all messages delivered under load, an ordered stop by `docker stop`.
#
#   deploy/container-test.sh            with the Docker engine at hand, or one of its own (root, Debian's docker.io)
#   CONNECTIONS=2000 CPUS="1 2" deploy/container-test.sh
#
# Ends with one line "container test: passed"; every failure says what was expected. Only loopback traffic.
set -euo pipefail
cd "$(dirname "$0")/.."
connections="${CONNECTIONS:-1000}"
quotas="${CPUS:-1 2}"
image="${IMAGE:-shardcast:test}"
work="$(mktemp -d)"
container="shardcast-test-$$"
engine=""

finish() {
	docker rm -f "$container" >/dev/null 2>&1 || true
	if [ -n "$engine" ]; then
		kill "$engine" 2>/dev/null || true
		wait "$engine" 2>/dev/null || true
		# The network of the host, which an engine that ends leaves mounted.
		umount "$work"/exec/netns/* 2>/dev/null || true
	fi
	rm -rf "$work"
}
trap finish EXIT
fail() {
	echo "container test: FAILED: $*" >&2
	docker logs "$container" 2>&1 | tail -20 >&2 || true
	exit 1
}
say() { echo "container test: $*"; }

# --- an engine -----------------------------------------------------------------------------------------------------------
if ! docker info >/dev/null 2>&1; then
	command -v dockerd >/dev/null || fail "there is no Docker engine; install docker.io, or start one and set DOCKER_HOST"
	[ "$(id -u)" = 0 ] || fail "there is no Docker engine, and only root can start one; set DOCKER_HOST"
	say "starting a Docker engine of our own"
	export DOCKER_HOST="unix://$work/docker.sock"
	dockerd --host "$DOCKER_HOST" --data-root "${DOCKER_DATA:-$work/data}" --exec-root "$work/exec" --pidfile "$work/pid" \
		--iptables=false --ip6tables=false --bridge=none --exec-opt native.cgroupdriver=cgroupfs >"$work/dockerd.log" 2>&1 &
	engine=$!
	for _ in $(seq 100); do docker info >/dev/null 2>&1 && break; sleep 0.2; done
	docker info >/dev/null 2>&1 || { tail -20 "$work/dockerd.log" >&2; fail "the engine did not come up"; }
fi
# An engine without a bridge: what a build fetches, it fetches as this machine does.
network=()
docker network inspect bridge >/dev/null 2>&1 || network=(--network host)

# --- the image -------------------------------------------------------------------------------------------------------------
base="${NODE_IMAGE:-node:22-bookworm-slim}"
docker image inspect "$base" >/dev/null 2>&1 || docker pull -q "$base" >/dev/null 2>&1 || deploy/local-base-image.sh "$base"
say "building $image"
revision="$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
build() {
	docker build "${network[@]}" --build-arg "NODE_IMAGE=$base" --build-arg "REVISION=$revision" \
		-f deploy/Dockerfile --target "$1" -t "$2" . >"$work/build.log" 2>&1 || { tail -40 "$work/build.log" >&2; fail "$2 was not built"; }
}
build shardcast "$image"
build tools "$image-tools"
read -r user stop_signal bytes base_bytes < <(echo "$(docker image inspect -f '{{.Config.User}} {{.Config.StopSignal}} {{.Size}}' "$image") \
	$(docker image inspect -f '{{.Size}}' "$base")")
[ "$user" = "1000:1000" ] || fail "the image runs as '$user', not as 1000:1000"
[ "$stop_signal" = SIGTERM ] || fail "the image is stopped by '$stop_signal'"
say "image of $((bytes / 1000000)) MB, $(((bytes - base_bytes) / 1000000)) MB of them on top of $base"

# --- the cluster in it -------------------------------------------------------------------------------------------------------
free_port() {
	node -e 'const server = require("net").createServer().listen(0, "127.0.0.1", () => server.close(console.log(server.address().port)))'
}

# As many as the 12,000 connections of a full cluster want, or what this machine allows.
files="$(ulimit -Hn)"
[ "$files" != unlimited ] && [ "$files" -lt 65536 ] || files=65536

for cpus in $quotas; do
	port="$(free_port)"
	base_port=$((port > 40000 ? port - 2000 : port + 2000))
	docker run -d --name "$container" --network host --cpus "$cpus" --memory 2g --pids-limit 200 \
		--read-only --tmpfs /tmp --shm-size 256m --cap-drop ALL --security-opt no-new-privileges --ulimit "nofile=$files:$files" \
		-e "SHARDCAST_LB_ADDR=127.0.0.1:$port" -e "SHARDCAST_BASE_PORT=$base_port" "$image" >/dev/null

	for _ in $(seq 150); do
		health="$(docker inspect -f '{{.State.Health.Status}}' "$container")"
		[ "$health" = healthy ] && break
		[ "$(docker inspect -f '{{.State.Running}}' "$container")" = true ] || fail "the container ended"
		sleep 0.2
	done
	[ "$health" = healthy ] || fail "the container is $health after 30 s"

	shards="$(node -e 'fetch(process.argv[1]).then((answer) => answer.json()).then(({ shards }) => console.log(shards.length))' "http://127.0.0.1:$port/health")"
	[ "$shards" = "$cpus" ] || fail "--cpus $cpus gave $shards shards"
	first="$(docker exec "$container" node -p 'require("fs").readFileSync("/proc/1/cmdline","utf8").split("\0")[0]')"
	[ "$first" = tini ] || fail "process 1 is '$first', not tini"
	docker exec "$container" sh -c '! touch /app/written 2>/dev/null' || fail "the root file system can be written to"

	# Beside the cluster, in its own container: it sees the cluster's processes, and is not held to its quota.
	docker run --rm --network host --pid "container:$container" --ulimit "nofile=$files:$files" --entrypoint node "$image-tools" loadtest/dist/main.js \
		--url "ws://127.0.0.1:$port" --connections "$connections" --rate 20 --duration 5s --hold 500ms \
		>"$work/loadtest.log" 2>&1 || { cat "$work/loadtest.log" >&2; fail "the load test found messages lost, doubled or refused"; }
	cat "$work/loadtest.log"

	used="$(docker exec "$container" node -p '
		const { readFileSync: read, existsSync: there } = require("fs");
		const v2 = "/sys/fs/cgroup/memory.current";
		Math.round(read(there(v2) ? v2 : "/sys/fs/cgroup/memory/memory.usage_in_bytes", "utf8") / 1e6)')"
	docker stop -t 40 "$container" >/dev/null
	status="$(docker inspect -f '{{.State.ExitCode}}' "$container")"
	[ "$status" = 0 ] || fail "docker stop ended with exit status $status"
	docker logs "$container" 2>&1 | grep -q "nothing was cut off" || fail "the log does not say that nothing was cut off"
	say "--cpus $cpus: $shards shard(s), $connections clients served, $used MB, stopped in order"
	docker rm "$container" >/dev/null
done
say "passed"
