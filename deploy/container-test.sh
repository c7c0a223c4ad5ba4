#!/usr/bin/env bash
# Builds the image and shows that the cluster in it keeps to its container: as many shards as the quota has CPUs, no privilege,
# nothing written to the root file system, all messages delivered under load, an ordered stop by `docker stop`.
#
# usage: deploy/container-test.sh      with the Docker engine at hand, or one that it starts (root, Debian's docker.io)
#        CONNECTIONS=2000 CPUS="1 2" deploy/container-test.sh
#
# Ends with one line "container test: passed"; every failure says what was expected. Only loopback traffic.
set -euo pipefail
. "$(dirname "$0")/help.sh"
cd "$(dirname "$0")/.."
connections="${CONNECTIONS:-1000}"
quotas="${CPUS:-1 2}"
image="${IMAGE:-shardcast:test}"
container="shardcast-test-$$"
name="container test"
. deploy/engine.sh

explain() { docker logs "$container" 2>&1 | tail -20; }
finish() {
	docker rm -f "$container" >/dev/null 2>&1 || true
	end_engine
}
trap finish EXIT

start_engine --iptables=false --ip6tables=false --bridge=none
# An engine without a bridge: what a build fetches, it fetches as this machine does.
network=()
docker network inspect bridge >/dev/null 2>&1 || network=(--network host)

# --- the image -------------------------------------------------------------------------------------------------------------
base="${NODE_IMAGE:-node:22-bookworm-slim}"
here_or "$base" deploy/local-base-image.sh "$base"
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
files="$(files_limit)"
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
