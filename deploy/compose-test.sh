#!/usr/bin/env bash
# Starts docker-compose.multi.yml as a whole and looks at it as its user would: order and health, no privilege, demo ticks at a
# client, console, Prometheus and the panels' queries; load; then a shard is killed, Kafka restarted, all stopped and started again.
#
# usage: deploy/compose-test.sh                           with the Docker engine at hand, or one that it starts (root, Debian's docker.io)
#        COMPOSE=docker-compose deploy/compose-test.sh    that Compose instead of `docker compose`
#
# Images that can neither be found nor pulled get stand-ins (local-compose-images.sh); Grafana's is not Grafana. Ports are free
# ones, containers and volumes of a separate project; the last line is "compose test: passed". Needs Node on the host.
set -euo pipefail
. "$(dirname "$0")/help.sh"
cd "$(dirname "$0")/.."
name="compose test"
. deploy/engine.sh
project="shardcast-test-$$"
if [ -z "${COMPOSE:-}" ]; then
	if docker compose version >/dev/null 2>&1; then COMPOSE="docker compose"; else COMPOSE="docker-compose"; fi
fi
compose() { $COMPOSE -p "$project" -f docker-compose.multi.yml -f "$work/machine.yml" "$@"; }
container() { docker ps -aq --filter "label=com.docker.compose.project=$project" --filter "label=com.docker.compose.service=$1"; }
state() { docker inspect -f "{{.State.$2}}" "$(container "$1")"; }

explain() { for service in kafka shardcast demo prometheus grafana; do echo "--- $service" && docker logs "$(container "$service")" 2>&1 | tail -15; done; }
finish() {
	compose down --volumes --timeout 10 >/dev/null 2>&1 || true
	end_engine
}
trap finish EXIT

# --- an engine, images, and what this machine has less of -----------------------------------------------------------------
start_engine
services="kafka shardcast demo prometheus grafana"
here_or node:22-bookworm-slim deploy/local-base-image.sh
for image in $(sed -n 's/^    image: \(.*:v\?[0-9.]*\)$/\1/p' docker-compose.multi.yml); do
	here_or "$image" deploy/local-compose-images.sh "$image"
done
cpus="$(nproc)"
[ "$cpus" -lt 3 ] || cpus=3
files="$(files_limit)"
cat >"$work/machine.yml" <<-YAML
	services:
	  shardcast:
	    cpus: $cpus
	    environment: { SHARDCAST_SHARDS: "$cpus" }
	    ulimits: { nofile: { soft: $files, hard: $files } }
YAML
SHARDCAST_PORT="$(free_port)" PROMETHEUS_PORT="$(free_port)" GRAFANA_PORT="$(free_port)"
export SHARDCAST_PORT PROMETHEUS_PORT GRAFANA_PORT
url="http://127.0.0.1:$SHARDCAST_PORT"

# --- started in order, each in force --------------------------------------------------------------------------------------------
up() {
	compose up -d >"$work/up.log" 2>&1 || { tail -20 "$work/up.log" >&2; fail "the stack did not start"; }
	for service in $services; do
		for _ in $(seq 240); do
			case "$(docker inspect -f '{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}}' "$(container "$service")")" in
				"running " | "running healthy") break ;;
			esac
			sleep 0.5
		done
		[ "$(docker inspect -f '{{if .State.Health}}{{.State.Health.Status}}{{else}}healthy{{end}}' "$(container "$service")")" = healthy ] \
			|| fail "$service is not healthy after two minutes"
	done
}
say "building and starting by $COMPOSE, project $project"
compose build >"$work/build.log" 2>&1 || { tail -40 "$work/build.log" >&2; fail "the images were not built"; }
up
[[ "$(state kafka StartedAt)" < "$(state shardcast StartedAt)" && "$(state shardcast StartedAt)" < "$(state prometheus StartedAt)" \
	&& "$(state prometheus StartedAt)" < "$(state grafana StartedAt)" ]] || fail "the services did not start in order"
for service in $services; do
	seen="$(docker exec "$(container "$service")" sh -c 'id -u; grep -E "CapEff|NoNewPrivs" /proc/1/status; touch /opt/x 2>&1' | tr '\n\t' '  ' || true)"
	case "$seen" in
		"0 "*) fail "$service runs as root" ;;
		*"CapEff: 0000000000000000 NoNewPrivs: 1"*) ;;
		*) fail "$service has privileges: $seen" ;;
	esac
	case "$service $seen" in
		kafka* | *"Read-only file system"*) ;;
		*) fail "$service can write to its root file system: $seen" ;;
	esac
done
demo_restarts() { docker inspect -f '{{.RestartCount}}' "$(container demo)"; }
[ "$(demo_restarts)" = 0 ] || fail "the demo publisher restarted $(demo_restarts) times"
say "up in order, without privilege"

# --- what a user sees ---------------------------------------------------------------------------------------------------------------
# ticks SECONDS [?channels=…]: one line of JSON, of a client of that time
ticks() { docker exec -i "$(container demo)" node --input-type=module - "$@" <deploy/compose/ticks.mjs; }
field() { node -p 'JSON.parse(process.argv[1])[process.argv[2]]' "$1" "$2"; }
all_came() {
	[ "$(field "$1" ticks)" -ge "$2" ] && [ "$(field "$1" missing) $(field "$1" doubled) $(field "$1" closed)" = "0 0 0" ] \
		|| fail "a client $3 got $1"
}
status_of() { curl -s -o /dev/null -w '%{http_code}' "$1"; }
[ "$(status_of "$url/ready")" = 200 ] || fail "/ready says $(status_of "$url/ready")"
[ "$(status_of "$url/console") $(status_of "$url/console?token=compose-console")" = "403 200" ] || fail "the console does not want its token"
seen="$(ticks 3)"
all_came "$seen" 400 "of all channels"
seen="$(ticks 3 '?channels=BTC.trade')"
[ "$(field "$seen" ticks)" -ge 20 ] || fail "a client of BTC.trade got $seen"
say "ticks reach clients; the console answers"

# --- load: the demo rests, for its ticks would reach the test's clients too ----------------------------------------------------------
compose stop demo >/dev/null 2>&1
docker run --rm --network "container:$(container shardcast)" --pid "container:$(container shardcast)" --ulimit "nofile=$files:$files" \
	shardcast-tools:local loadtest/dist/main.js --connections 1000 --rate 20 --duration 5s --hold 500ms \
	>"$work/loadtest.log" 2>&1 || { cat "$work/loadtest.log" >&2; fail "the load test found messages lost, doubled or refused"; }
grep -E "deliveries in|passed" "$work/loadtest.log"
compose start demo >/dev/null 2>&1
seen="$(node deploy/compose/prometheus.mjs "http://127.0.0.1:$PROMETHEUS_PORT")" || fail "Prometheus lacks something"
say "$seen"

# --- trouble ---------------------------------------------------------------------------------------------------------------------------
shard="$(curl -s "$url/health" | node -p 'JSON.parse(require("fs").readFileSync(0)).shards[0].pid')"
docker exec "$(container shardcast)" node -e 'process.kill(process.argv[1], "SIGKILL")' "$shard"
for _ in $(seq 50); do
	again="$(curl -s "$url/health" | node -p 'const { restarts, status } = JSON.parse(require("fs").readFileSync(0)).shards[0]; `${restarts} ${status}`')"
	[ "$again" = "1 healthy" ] && break
	sleep 0.2
done
[ "$again" = "1 healthy" ] || fail "a killed shard is '$again' after ten seconds"
all_came "$(ticks 3)" 400 "after a shard was killed"
say "a killed shard is back"

ticks 30 >"$work/ticks" &
listener=$!
sleep 2
compose restart kafka >/dev/null 2>&1
wait "$listener"
all_came "$(cat "$work/ticks")" 4000 "while Kafka was restarted"
[ "$(demo_restarts)" = 0 ] || fail "the demo publisher did not survive a restart of Kafka"
say "Kafka restarted: $(cat "$work/ticks")"

# --- stopped in order, and what is kept --------------------------------------------------------------------------------------------------
records() {
	docker exec "$(container kafka)" /opt/kafka/bin/kafka-run-class.sh org.apache.kafka.tools.GetOffsetShell \
		--bootstrap-server localhost:9092 --topic 'trade|quote' 2>/dev/null | awk -F: '{ sum += $3 } END { print sum }'
}
compose stop demo >/dev/null 2>&1
before="$(records)"
began="$(date +%s)"
compose stop >/dev/null 2>&1
say "stopped in $(($(date +%s) - began)) s"
for service in demo shardcast prometheus grafana; do [ "$(state "$service" ExitCode)" = 0 ] || fail "$service ended with $(state "$service" ExitCode)"; done
# Java's way to say that it ended by SIGTERM.
[ "$(state kafka ExitCode)" = 143 ] || fail "Kafka ended with $(state kafka ExitCode)"
docker logs "$(container shardcast)" 2>&1 | grep -q "nothing was cut off" || fail "the log does not say that nothing was cut off"
compose down >/dev/null 2>&1
up
after="$(records)"
[ "$after" -ge "$before" ] && [ "$before" -gt 0 ] || fail "of $before records $after are left"
all_came "$(ticks 3)" 400 "after all was started again"
scraped="$(curl -s "http://127.0.0.1:$PROMETHEUS_PORT/api/v1/query?query=max_over_time(shardcast_shard_restarts_total%5B10m%5D)" | grep -c '"1"\]' || true)"
[ "$scraped" = 1 ] || fail "Prometheus has forgotten what was before"
compose down --volumes >/dev/null 2>&1
left="$(docker volume ls -q | wc -l)"
[ -z "$engine" ] || [ "$left" = 0 ] || fail "$left volumes are left behind"
say "started again with $before records of before; nothing is left"
say "passed"
