import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
	configKeys,
	environmentName,
	filePath,
	type LoadedConfig,
	loadConfig,
	optionOf,
	parseAddress,
	stopDelayMs,
} from "@shardcast/config";
import { stateRoutes } from "@shardcast/http";
import { toldPerSecond } from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import { sharedMemoryBytes } from "../../../apps/supervisor/src/preflight/shared-memory.ts";
import { deploy } from "../metric-names.ts";
import { chart, chartFile, Rendered, readValues, valueSets } from "./manifests.ts";

const byPath = new Map(configKeys.map((key) => [filePath(key), key]));
const mebibyte = 1_048_576;
/** What the balancer answers itself. */
const answered = stateRoutes({ health: neverAsked, readiness: neverAsked, metrics: neverAsked }).map(({ path }) => path);

function neverAsked(): never {
	throw new Error("only the paths are wanted");
}

function bytesOf(quantity: string): number {
	const match = /^(\d+)Mi$/.exec(quantity);
	if (match === null) throw new Error(`${quantity} is not in mebibytes`);
	return Number(match[1]) * mebibyte;
}

/** What the program makes of the config map, with some text for each secret. */
function load(rendered: Rendered): LoadedConfig {
	const folder = mkdtempSync(join(tmpdir(), "shardcast-chart-"));
	try {
		const file = join(folder, "shardcast.yaml");
		// Files of Secrets are only in the pod.
		writeFileSync(
			file,
			rendered.configFile.replace(/\/etc\/(shardcast-tls|redis-ca)\/[\w.]+/g, () => join(deploy, "test/helm/values/default.yaml")),
		);
		const environment: Record<string, string> = {};
		for (const { name, value, valueFrom } of rendered.container.env) {
			if (value !== undefined) environment[name] = value;
			else if (valueFrom.resourceFieldRef !== undefined) environment[name] = String(rendered.container.resources.requests.cpu);
			else environment[name] = secretFor(name, rendered);
		}
		return loadConfig({ file, environment });
	} finally {
		rmSync(folder, { recursive: true });
	}
}

function secretFor(name: string, { configFile }: Rendered): string {
	if (name === "REDIS_URL") return `${configFile.includes("redis-ca") ? "rediss" : "redis"}://:password@redis:6379`;
	if (name === "POSTGRES_URL") return "postgres://user:password@postgres:5432/app";
	if (name === "SHARDCAST_WEBHOOKS") return '[{"name": "app", "endpoint": "https://app.example.com/events", "secret": "0123456789abcdef"}]';
	return "0123456789abcdef";
}

it("the chart has the version of the program", () => {
	const { version } = JSON.parse(readFileSync(join(deploy, "../package.json"), "utf8")) as { version: string };
	expect(chartFile("Chart.yaml")).toContain(`\nversion: ${version}\n`);
	expect(chartFile("Chart.yaml")).toContain(`\nappVersion: "${version}"\n`);
});

it("every option that is a secret is refused in the config map, with the variable that sets it", () => {
	const refused = new Map(
		[...chartFile("templates/_checks.tpl").matchAll(/"([a-z_.]+)" "((?:SHARDCAST_)?[A-Z_]+)"/g)].map(([, path, name]) => [path!, name!]),
	);
	const secrets = configKeys.filter((key) => optionOf(key).secret);
	expect(secrets.length).toBeGreaterThan(5);
	for (const key of secrets) expect([environmentName(key), optionOf(key).variable], filePath(key)).toContain(refused.get(filePath(key)));
	for (const [path, name] of refused) {
		const key = byPath.get(path);
		expect(key, path).toBeDefined();
		expect([environmentName(key!), optionOf(key!).variable]).toContain(name);
	}
});

describe.each(valueSets)("the manifests for %s", (set) => {
	const rendered = new Rendered(set);
	const loaded = load(rendered);
	const { config } = loaded;
	const { pod, container } = rendered;
	const { cpus, replicas } = { cpus: 2, replicas: 1, ...(readValues(set) as { cpus?: number; replicas?: number }) };

	it("give the program options that it takes, without a warning, and from the file", () => {
		expect(loaded.warnings).toEqual([]);
		expect(loaded.overridden).toEqual([]);
		expect(container.args).toEqual(["multi", "--config", "/etc/shardcast/shardcast.yaml"]);
		expect(container.volumeMounts).toContainEqual({ name: "config", mountPath: "/etc/shardcast", readOnly: true });
		expect(loaded.layers.drainDelayMs.kind).toBe("file");
		// All that is set in the values arrives.
		for (const [section, options] of Object.entries(readValues(set).config ?? {}))
			for (const name of Object.keys(options)) {
				const path = `${section}.${name}`;
				expect(
					[...byPath.keys()].some((known) => known === path || known.startsWith(`${path}.`)),
					path,
				).toBe(true);
			}
	});

	it("stop later than the program does, which has time to tell all clients to reconnect", () => {
		const stopMs = stopDelayMs(config.failover, config.drainDelayMs) + config.shutdownTimeoutMs;
		expect(pod.terminationGracePeriodSeconds * 1000).toBeGreaterThan(stopMs);
		const shards = config.shards;
		// All are told in the first half of it.
		expect(config.shutdownTimeoutMs / 2000).toBeGreaterThan(config.maxConnections / shards / toldPerSecond(config.drainRate));
		// SIGTERM is what begins the drain; a hook that did so would make it the second signal, which ends it at once.
		expect(container.lifecycle).toBeUndefined();
		// Two failed checks before new clients are refused.
		const { periodSeconds, failureThreshold } = container.readinessProbe;
		expect(config.drainDelayMs / 1000).toBeGreaterThan(periodSeconds * failureThreshold);
		expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(0);
	});

	it("replace a pod only when another is ready", () => {
		const { strategy, replicas: wanted, minReadySeconds } = rendered.one("Deployment").spec;
		expect(strategy).toEqual({ type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } });
		expect(minReadySeconds).toBeGreaterThan(0);
		expect(wanted).toBe(rendered.all("HorizontalPodAutoscaler").length === 1 ? undefined : replicas);
	});

	it("ask for /health and /ready on the port on which the program listens", () => {
		const { port } = parseAddress(config.lbAddr);
		expect(container.ports).toEqual([{ name: "http", containerPort: port, protocol: "TCP" }]);
		const paths = { startupProbe: "/health", readinessProbe: "/ready", livenessProbe: "/health" };
		for (const [probe, path] of Object.entries(paths)) {
			const { httpGet, exec } = container[probe];
			if (config.proxyProtocol) expect(exec).toEqual({ command: ["node", "deploy/healthcheck.mjs", path] });
			else expect(httpGet).toEqual({ path, port: "http", scheme: config.tlsCert === "" ? "HTTP" : "HTTPS" });
			expect(answered).toContain(path);
		}
		const { ports, selector } = rendered.one("Service").spec;
		expect(ports).toMatchObject([{ targetPort: "http" }]);
		expect(rendered.one("Deployment").spec.template.metadata.labels).toMatchObject(selector);
		// Liveness is the last resort: the supervisor replaces a hung process first.
		const { periodSeconds, failureThreshold } = container.livenessProbe;
		expect(periodSeconds * failureThreshold * 1000).toBeGreaterThan(config.readyTimeoutMs + config.heartbeatTimeoutMs);
		expect(container.startupProbe.periodSeconds * container.startupProbe.failureThreshold * 1000).toBeGreaterThan(config.readyTimeoutMs);
	});

	it("run one shard for each CPU, whole CPUs with requests that are the limits", () => {
		const { requests, limits } = container.resources;
		expect(requests.cpu).toBe(cpus);
		expect(requests.memory).toBe(limits.memory);
		expect([cpus, undefined]).toContain(limits.cpu);
		expect(config.shards).toBe((readValues(set).shards as number | undefined) ?? cpus);
		expect(pod.containers).toHaveLength(1);
		expect(pod.initContainers).toBeUndefined();
	});

	it("have room in /dev/shm for what the program reserves, and for one shard more, within the memory", () => {
		const shm = pod.volumes.find(({ name }: { name: string }) => name === "shm").emptyDir;
		expect(shm.medium).toBe("Memory");
		expect(container.volumeMounts).toContainEqual({ name: "shm", mountPath: config.clusterDirectory });
		const needed = sharedMemoryBytes(config, config.shards + 1);
		expect(bytesOf(shm.sizeLimit)).toBeGreaterThanOrEqual(needed);
		// And not many times as much, where it is computed.
		if (readValues(set).sharedMemory === undefined) expect(bytesOf(shm.sizeLimit)).toBeLessThan(needed + 16 * mebibyte);
		const memory = bytesOf(container.resources.limits.memory);
		expect(memory).toBeGreaterThan(bytesOf(shm.sizeLimit) + config.shards * config.maxBufferedTotalBytes);
	});

	it("run it as nobody special, on a read-only root, without a token and without variables of services", () => {
		expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: "RuntimeDefault" } });
		expect(container.securityContext).toEqual({
			allowPrivilegeEscalation: false,
			readOnlyRootFilesystem: true,
			capabilities: { drop: ["ALL"] },
		});
		expect(pod.automountServiceAccountToken).toBe(false);
		expect(pod.enableServiceLinks).toBe(false);
		for (const account of rendered.all("ServiceAccount")) expect(account.automountServiceAccountToken).toBe(false);
	});

	it("have no secret, in arguments or elsewhere: Secrets of others are named", () => {
		expect(rendered.all("Secret")).toEqual([]);
		const given = Object.entries((readValues(set).secrets ?? {}) as object);
		for (const [name, { name: secret, key }] of given)
			expect(container.env).toContainEqual({ name, valueFrom: { secretKeyRef: { name: secret, key } } });
		for (const { name, value } of container.env)
			if (value !== undefined) expect(["SHARDCAST_SHARDS", "SHARDCAST_PROXY_PROTOCOL"]).toContain(name);
	});

	it("mount what they have, and a changed config reaches the pods", () => {
		const names = pod.volumes.map(({ name }: { name: string }) => name);
		expect(container.volumeMounts.map(({ name }: { name: string }) => name).sort()).toEqual(names.sort());
		// With subPath, a mounted file stays what it was.
		for (const mount of container.volumeMounts) expect(mount.subPath).toBeUndefined();
		const annotations = rendered.one("Deployment").spec.template.metadata.annotations ?? {};
		expect("checksum/config" in annotations).toBe(readValues(set).configChange !== "reload");
	});

	it("select the pods of this release in every manifest that selects", () => {
		const { matchLabels } = rendered.one("Deployment").spec.selector;
		expect(matchLabels).toEqual({ "app.kubernetes.io/name": "shardcast", "app.kubernetes.io/instance": "push" });
		for (const kind of ["PodDisruptionBudget", "ServiceMonitor"])
			for (const { spec } of rendered.all(kind)) expect(spec.selector.matchLabels).toEqual(matchLabels);
		for (const { spec } of rendered.all("NetworkPolicy")) expect(spec.podSelector.matchLabels).toEqual(matchLabels);
		for (const { labelSelector } of pod.topologySpreadConstraints) expect(labelSelector.matchLabels).toEqual(matchLabels);
		for (const manifest of rendered.manifests) expect(manifest.metadata.namespace, manifest.kind).toBe("apps");
	});
});

describe("the manifests for cluster", () => {
	const rendered = new Rendered("cluster");

	it("scale by a metric that /metrics has, at the part of the connections that the values say", () => {
		const [connections, cpu] = rendered.one("HorizontalPodAutoscaler").spec.metrics;
		const { name } = connections.pods.metric;
		expect(readFileSync(join(deploy, "../docs/reference/metrics.md"), "utf8")).toContain(`\n| \`${name}\` | gauge |`);
		expect(connections.pods.target).toEqual({ type: "AverageValue", averageValue: String(40_000 * 0.6) });
		expect(cpu.resource).toEqual({ name: "cpu", target: { type: "Utilization", averageUtilization: 70 } });
		expect(readFileSync(join(deploy, "../docs/how-to/operations/kubernetes.md"), "utf8")).toContain(`seriesQuery: '${name}{`);
	});

	it("let out what is configured: DNS, the ports of the brokers, Redis and PostgreSQL", () => {
		const { egress, ingress } = rendered.one("NetworkPolicy").spec;
		const ports = egress.map((rule: { ports: { port: number }[] }) => rule.ports.map(({ port }) => port));
		expect(ports).toEqual([[53, 53], [6379], [5432], [9092, 9094], [443]]);
		expect(ingress).toMatchObject([{ ports: [{ port: 3005 }], from: [{}] }]);
		expect(new Rendered("proxy").one("NetworkPolicy").spec.egress).toHaveLength(2);
	});

	it("scrape as the job of the alerts, and have links to the rules of deploy/prometheus", () => {
		const [endpoint] = rendered.one("ServiceMonitor").spec.endpoints;
		const job = endpoint.relabelings.find(({ targetLabel }: { targetLabel: string }) => targetLabel === "job").replacement;
		expect(readFileSync(join(deploy, "prometheus/rules/alerts.yml"), "utf8")).toContain(`up{job="${job}"}`);
		expect(endpoint).toMatchObject({ port: "http", path: "/metrics" });
		for (const name of ["alerts.yml", "recording.yml"])
			expect(realpathSync(join(chart, "files", name))).toBe(join(deploy, "prometheus/rules", name));
	});

	it("give clients a path with long timeouts, and nothing that is for operators", () => {
		const ingress = rendered.one("Ingress");
		expect(ingress.metadata.annotations).toMatchObject({ "nginx.ingress.kubernetes.io/proxy-read-timeout": "3600" });
		const route = new Rendered("tls").one("HTTPRoute").spec.rules[0];
		expect(route.timeouts).toEqual({ request: "0s" });
		const open = [
			...ingress.spec.rules[0].http.paths.map(({ path }: { path: string }) => path),
			...route.matches.map(({ path }: { path: { value: string } }) => path.value),
		];
		for (const path of ["/metrics", "/console", "/admin", "/api", "/health", "/cluster"])
			expect(
				open.some((prefix) => path.startsWith(prefix)),
				path,
			).toBe(false);
	});
});

it("the guide has the figures of the chart", () => {
	const page = readFileSync(join(deploy, "../docs/how-to/operations/kubernetes.md"), "utf8");
	const { pod, container } = new Rendered("default");
	const memory = (bytesOf(container.resources.limits.memory) / mebibyte).toLocaleString("en");
	expect(page).toContain(`give ${memory} MiB of memory and ${pod.terminationGracePeriodSeconds} s to stop`);
	const { maxConnections, shards, drainRate, shutdownTimeoutMs } = load(new Rendered("cluster")).config;
	expect(page).toContain(
		`${maxConnections.toLocaleString("en")} on ${shards} shards at ${drainRate} take ${maxConnections / shards / drainRate} s, so it is ${shutdownTimeoutMs / 1000} s`,
	);
});
