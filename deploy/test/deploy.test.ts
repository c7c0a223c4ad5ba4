import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { metricsReference, metricTables } from "@shardcast/control";
import { describe, expect, it } from "vitest";
import { dashboards, files } from "../grafana/dashboards.mjs";
import { deploy, family, metricsOf, queries, rules } from "./metric-names.ts";

const root = join(deploy, "..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

describe("Dockerfile", () => {
	const text = read("deploy/Dockerfile");

	it("copies the manifest of every workspace before it installs", () => {
		const workspaces = ["apps", "packages"].flatMap((home) => readdirSync(join(root, home)).map((name) => `${home}/${name}`));
		for (const path of [...workspaces, "loadtest"])
			if (existsSync(join(root, path, "package.json"))) expect(text).toContain(`COPY ${path}/package.json ${path}/`);
	});

	it("is given what its programs read of deploy/ when they start", { tags: ["long"] }, () => {
		const kept = read(".dockerignore").split("\n");
		const wanted = ["apps", "packages", "loadtest"]
			.flatMap((home) => readdirSync(join(root, home), { recursive: true, encoding: "utf8" }).map((path) => join(home, path)))
			.filter((path) => /\/src\/[^.]+\.ts$/.test(path) && !path.includes("node_modules"))
			.flatMap((path) => [...read(path).matchAll(/"(?:\.\.\/)+(deploy\/[^/"]+)/g)].map(([, name]) => name!));
		expect(wanted).toContain("deploy/kafka");
		for (const name of wanted) expect(kept).toContain(`!${name}`);
	});

	it("keeps tests, results and history out of what is built", () => {
		const ignored = read(".dockerignore").split("\n");
		for (const pattern of [".git", "**/node_modules", "**/dist", "**/test", "**/results"]) expect(ignored).toContain(pattern);
	});
});

describe("the files for other load balancers", () => {
	it.each(["haproxy/leastconn.cfg", "haproxy/source.cfg", "nginx/http.conf", "nginx/stream.conf"])("the guide shows %s", (file) => {
		const page = read("docs/how-to/behind-a-load-balancer.md");
		expect(page).toContain(`[deploy/${file}](../../deploy/${file})`);
		expect(page).toContain(`\n\`\`\`text\n${read(`deploy/${file}`)}\`\`\`\n`);
	});
});

describe("dashboards and rules", async () => {
	const own = Object.values(metricTables).flat();
	const defaults = [...(await metricsReference()).matchAll(/^\| `((?:process|nodejs)_\w+)`/gm)].map((match) => match[1]!);
	const known = new Set([...own.map(({ name }) => name), ...defaults, "up"]);
	const recorded = new Set(rules().flatMap(({ record }) => record ?? []));

	it("every metric of a panel or rule is one that shardcast exports, or that a rule records", () => {
		const unknown: string[] = [];
		for (const [where, expr] of queries(dashboards)) {
			const names = metricsOf(expr);
			expect(names.length, where).toBeGreaterThan(0);
			for (const name of names) if (!known.has(family(name)) && !recorded.has(name)) unknown.push(`${where}: ${name}`);
		}
		expect(unknown).toEqual([]);
	});

	it("every recorded series is used, and every metric of shardcast's own is in a panel or rule, or left out with a reason", () => {
		const used = new Set([...queries(dashboards).values()].flatMap(metricsOf).flatMap((name) => [name, family(name)]));
		expect([...recorded].filter((name) => !used.has(name))).toEqual([]);
		expect(own.map(({ name }) => name).filter((name) => !used.has(name) && !notShown.has(name))).toEqual([]);
	});

	it("the files that Grafana reads are what dashboards.mjs makes; if not: node deploy/grafana/dashboards.mjs", () => {
		for (const [name, text] of Object.entries(files)) expect(read(`deploy/grafana/dashboards/${name}`) === text, name).toBe(true);
		expect(readdirSync(join(deploy, "grafana/dashboards")).sort()).toEqual(Object.keys(files).sort());
	});

	it("every alert links to its row in docs/how-to/operations.md, and every row is of an alert", () => {
		const alerts = rules().filter(({ alert }) => alert !== undefined);
		const anchors = [...read("docs/how-to/operations.md").matchAll(/^\| <a id="([^"]+)"><\/a>`(\w+)` \|/gm)].map(([, anchor, alert]) => ({
			anchor,
			alert,
		}));
		expect(anchors).toEqual(alerts.map(({ alert }) => ({ anchor: alert!.toLowerCase(), alert })));
		for (const { alert, annotations } of alerts)
			expect(annotations?.runbook_url, `runbook_url of ${alert}`).toBe(`docs/how-to/operations.md#${alert!.toLowerCase()}`);
	});

	it("dashboards take the data source that is chosen in Grafana, whatever its uid", () => {
		for (const [name, text] of Object.entries(files)) {
			const uids = [...text.matchAll(/"datasource": \{\s*"type": "prometheus",\s*"uid": "([^"]*)"/g)].map(([, uid]) => uid);
			expect(uids.length, name).toBeGreaterThan(1);
			expect(new Set(uids), name).toEqual(new Set([`\${datasource}`]));
			const { templating } = JSON.parse(text) as { templating: { list: { name: string; type: string; query: unknown }[] } };
			// Before the variables that ask it.
			expect(templating.list[0], name).toMatchObject({ name: "datasource", type: "datasource", query: "prometheus" });
		}
		expect(read("deploy/grafana/provisioning/datasources/prometheus.yml")).not.toMatch(/\buid:/);
	});

	it("every panel says in a sentence what it shows, and panels do not overlap", () => {
		for (const [name, { panels }] of Object.entries(dashboards)) {
			const taken = new Set<string>();
			for (const { title, description, type, gridPos } of panels) {
				if (type !== "row") expect(description, `${name} / ${title}`).toMatch(/\.$/);
				for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
					for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
						if (taken.has(`${x},${y}`)) expect.fail(`${name} / ${title}: overlaps another at ${x},${y}`);
						taken.add(`${x},${y}`);
					}
				expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
			}
		}
	});
});

/** Metrics that no panel shows, with why. */
const notShown = new Set([
	"shardcast_tls_certificate_expiry_timestamp_seconds", // there is none without TLS; the log warns from 14 days before
	"shardcast_trace_requests_total", // the spans that are lost are shown
	"shardcast_shards_follow_cpus", // is as ordered; the numbers are shown
	"shardcast_trace_waiting_spans", // the same
	"shardcast_traces_limited_total", // of interest to those who read the traces
	"shardcast_webhook_events_too_long_total", // one is a bug, and in the log
	"shardcast_edge_accepted_total", // the outcomes say more
	"shardcast_edge_accept_errors_total", // in the log of the system; refused connections show it as well
	"shardcast_edge_checks_total", // whether a node gets clients says more
	"shardcast_balancer_remote_checks_total", // whether a remote shard gets clients says more
	"shardcast_balancer_remote_weight", // is as in the options
	"shardcast_edge_pending", // is near zero unless nodes are away, which another panel shows
	"shardcast_gateway_clients_opened_total", // the gauge is shown
	"shardcast_gateway_callback_errors_total", // one is a bug, and in the log
	"shardcast_gateway_acknowledgements_total", // missing ones are shown
	"shardcast_gateway_queue_high_water", // shown as times that a queue was nearly full
	"shardcast_gateway_buffers", // shown as bytes
	"shardcast_gateway_buffers_taken_total", // of interest for the sizes of buffers only
	"shardcast_gateway_buffers_over_share_total", // what it leads to is shown: frames that are dropped, or wait
	"shardcast_gateway_buffers_exhausted_total", // shown where no larger one served
	"shardcast_gateway_backend_breaker", // whether a backend is up says more
	"shardcast_gateway_backend_failures", // the same
	"shardcast_gateway_backend_dials_total", // the same
	"shardcast_gateway_backend_frames_total", // shown for all backends
	"shardcast_gateway_backend_bytes_total", // the same
	"shardcast_gateway_backend_waiting", // the same
	"shardcast_gateway_peers", // processes that do not serve are shown
	"shardcast_gateway_peer_records_total", // the frames are shown
	"shardcast_gateway_peer_bytes_total", // the same
	"shardcast_gateway_peer_troubles_total", // what follows from them is shown: frames that wait or are dropped
	"shardcast_gateway_backends_refused_total", // in the log and in the report on the terminal
	"shardcast_gateway_announcements_total", // whether backends are up says more
	"shardcast_cluster_state", // the shards' states say more
	"shardcast_balancer_state", // the target is down when it is not serving
	"shardcast_balancer_mode", // does not change while a cluster runs
	"shardcast_balancer_strategy", // changes only when somebody changes it
	"shardcast_balancer_accepted_total", // shown by outcome
	"shardcast_balancer_pending", // gone within milliseconds
	"shardcast_proxied_connections", // equal to the connections in proxy mode
	"shardcast_handoffs_sent_total", // compared with the next by tests
	"shardcast_handoffs_received_total",
	"shardcast_websockets_opened_total", // the gauge is shown
	"shardcast_flushes_total", // shown as records per flush
	"shardcast_bus_records_total", // shown as events and deliveries
	"shardcast_commands_over_rate_total", // clients are told error 111; of interest only when a limit is set
	"shardcast_api_requests_total", // of interest only when keys are changed
	"shardcast_api_refused_total",
	"shardcast_api_over_limit_total", // the same
	"shardcast_http_requests_total", // of little interest
	"shardcast_node_batches_total", // shown as messages
	"shardcast_kafka_history_reads_total", // shown as recoveries
	"shardcast_kafka_history_records_total", // the same
	"shardcast_kafka_dead_letters_waiting", // written or lost soon
	"shardcast_kafka_delivered_total", // shown as records and lag
	"shardcast_kafka_commits_total", // shown as the time since the last
	"shardcast_kafka_position_table_busy_total", // a shard that is stopped is in health and in the alerts
	"shardcast_kafka_metadata_age_seconds", // a broker that is away shows as an error, and in health
	"shardcast_kafka_relay_sent_bytes_total", // shown as answers
	"shardcast_kafka_handover_waits_total", // shown as lag, and as the depth of the ring that is not read
	"shardcast_build_info",
	"shardcast_scrapes_total",
	"shardcast_scrape_duration_seconds",
]);
