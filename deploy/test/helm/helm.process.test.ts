import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { type Ended, run } from "../commands.ts";
import { rules } from "../metric-names.ts";
import { chart, parseManifests, renderedFolder, valueSets, valuesFolder } from "./manifests.ts";
import { helmTools } from "./tools.ts";

const tools = await helmTools();
const update = process.env.SHARDCAST_UPDATE_RENDERED === "1";

describe.skipIf(tools === null)("the Helm chart", () => {
	const { helm, kubeconform } = tools ?? { helm: "", kubeconform: "" };
	const folder = mkdtempSync(join(tmpdir(), "shardcast-helm-"));
	// Nothing of this machine's own helm.
	const env = { HELM_CACHE_HOME: folder, HELM_CONFIG_HOME: folder, HELM_DATA_HOME: folder, KUBECONFIG: join(folder, "none") };
	const withHelm = (...args: string[]): Promise<Ended> => run(helm, args, { env });
	const template = (source: string, ...args: string[]): Promise<Ended> =>
		withHelm("template", "push", source, "--namespace", "apps", "--kube-version", "v1.30.0", ...args);
	const rendered = new Map<string, Promise<string>>();
	/** Those of the chart itself are the same for all tests. */
	const manifestsOf = (set: string): Promise<string> => {
		const manifests = rendered.get(set) ?? render(set, chart);
		rendered.set(set, manifests);
		return manifests;
	};
	/** Helm says on stderr that it follows links. */
	const render = async (set: string, source: string): Promise<string> => {
		const { status, output } = await template(source, "--values", valuesFile(set));
		expect(status, output).toBe(0);
		return output.replace(/^.*found symbolic link in path.*\n/gm, "");
	};
	const valuesFile = (set: string): string => join(valuesFolder, `${set}.yaml`);

	afterAll(() => rmSync(folder, { recursive: true }));

	describe.each(valueSets)("with the values %s", (set) => {
		it("passes helm lint --strict", async () => {
			const { status, output } = await withHelm("lint", "--strict", chart, "--values", valuesFile(set));
			expect(output).toContain("0 chart(s) failed");
			expect(output).not.toContain("[WARNING]");
			expect(status).toBe(0);
		});

		it("gives the committed manifests; if not: SHARDCAST_UPDATE_RENDERED=1 npx vitest run deploy/test/helm/helm.process.test.ts", async () => {
			const manifests = withoutRules(await manifestsOf(set));
			const file = join(renderedFolder, `${set}.yaml`);
			if (update) writeFileSync(file, manifests);
			expect(manifests === readFileSync(file, "utf8"), `${set}: the manifests differ`).toBe(true);
		});
	});

	describe.each(["v1.30.0", "v1.37.0"])("for Kubernetes %s", (version) => {
		const schemas = join(folder, version);
		const validate = (manifests: string): Promise<Ended> =>
			run(kubeconform, ["-strict", "-summary", "-schema-location", `${schemas}/{{ .ResourceKind }}{{ .KindSuffix }}.json`, "-"], {
				input: manifests,
			});

		beforeAll(() => {
			mkdirSync(schemas, { recursive: true });
			for (const name of [version, "custom"]) {
				const { kinds, $defs } = JSON.parse(readFileSync(join(import.meta.dirname, `schemas/${name}.json`), "utf8"));
				for (const [kind, schema] of Object.entries(kinds as Record<string, object>))
					writeFileSync(join(schemas, `${kind}.json`), JSON.stringify({ ...schema, $defs }));
			}
		});

		it.each(valueSets)("kubeconform -strict takes the manifests of %s", async (set) => {
			const { status, output } = await validate(await manifestsOf(set));
			expect(output).toMatch(/ Valid: [1-9]\d*, Invalid: 0, Errors: 0, Skipped: 0/);
			expect(status).toBe(0);
		});

		it("kubeconform -strict refuses what is no field, a wrong type, and a kind without a schema", async () => {
			const manifest = { apiVersion: "v1", kind: "Service", metadata: { name: "push" } };
			const bad = [
				{ ...manifest, spec: { prots: [] } },
				{ ...manifest, spec: { ports: [{ port: "http" }] } },
				{ ...manifest, kind: "Unknown" },
			];
			for (const each of bad) expect((await validate(stringify(each))).status, JSON.stringify(each)).toBe(1);
			expect((await validate(stringify({ ...manifest, spec: { ports: [{ port: 80 }] } }))).status).toBe(0);
		});
	});

	it.each([
		["an unknown value", { replcas: 2 }, "replcas"],
		["CPUs that are no whole number", { cpus: 1.5 }, "/cpus"],
		["a secret as text", { secrets: { SHARDCAST_API_KEY: "12345678" } }, "/secrets/SHARDCAST_API_KEY"],
		["a secret under a name that no option has", { secrets: { API_KEY: { name: "a", key: "b" } } }, "API_KEY"],
		["an unknown amount of memory", { memory: "2 GB" }, "/memory"],
		[
			"a key in the config map",
			{ config: { http_api: { key: "12345678" } } },
			"config.http_api.key: a config map is no place for a secret; put it into a Secret and name that in secrets.SHARDCAST_API_KEY",
		],
		["keys in the config map", { config: { http_api: { keys: [{ name: "a", key: "12345678" }] } } }, "secrets.SHARDCAST_API_KEYS"],
		[
			"a password in an address",
			{ config: { redis: { address: "redis://:secret@redis:6379" } } },
			"config.redis.address: it has a password",
		],
		[
			"the secret of a webhook",
			{ config: { webhooks: { targets: [{ endpoint: "https://a.example", secret: "0123456789abcdef" }] } } },
			"secrets.SHARDCAST_WEBHOOKS",
		],
		["an address of the balancer", { config: { balancer: { address: ":80" } } }, "config.balancer.address: the chart sets it"],
		["one node id for all pods", { config: { node: { id: "n1" } } }, "config.node.id: each pod needs its own"],
		["several pods without Redis", { replicas: 2 }, "replicas: pods without Redis do not know each other"],
		[
			"an autoscaler without Redis",
			{ autoscaling: { enabled: true } },
			"autoscaling.maxReplicas: pods without Redis do not know each other",
		],
		[
			"an autoscaler without a metric",
			{ independentPods: true, autoscaling: { enabled: true, connections: 0 } },
			"autoscaling: nothing to go by",
		],
		[
			"less at most than at least",
			{ independentPods: true, autoscaling: { enabled: true, minReplicas: 5, maxReplicas: 3 } },
			"autoscaling.minReplicas: 5 is more than maxReplicas, 3",
		],
		[
			"a durable store on the pod's disk",
			{ config: { channel: { durable_store: { path: "/data" } } } },
			"keep durable channels in PostgreSQL",
		],
		[
			"offsets that no new pod would find",
			{ replicas: 2, independentPods: true, config: { kafka: { from: "committed" } } },
			"config.kafka.from: committed offsets belong to a node",
		],
		[
			"a stop that is too short for the drain rate",
			{ config: { shutdown: { timeout: "149s", drain_rate: 100 } } },
			"config.shutdown.timeout: 149s is too short for 12000 connections on 2 shards at 100 per second and shard: in less than 150 s they would be told to reconnect faster than that",
		],
		["a duration without unit", { config: { shutdown: { drain_delay: 5 } } }, 'config.shutdown.drain_delay: "5" is not a duration'],
		["an unknown size", { config: { limits: { max_payload: "1 MX" } } }, 'config.limits.max_payload: "1 mx" is not a size'],
		[
			"a monitor that cannot send PROXY headers",
			{ serviceMonitor: { enabled: true }, config: { network: { proxy_protocol: true, trusted_proxies: ["127.0.0.1"] } } },
			"serviceMonitor.enabled: with config.network.proxy_protocol",
		],
		[
			"probes that nobody trusts",
			{ config: { network: { proxy_protocol: true, trusted_proxies: ["10.0.0.0/8", "127.0.0.10"] } } },
			"add 127.0.0.1",
		],
		[
			"TLS after PROXY headers",
			{ tls: { secretName: "a" }, config: { network: { proxy_protocol: true, trusted_proxies: ["127.0.0.1"] } } },
			"tls.secretName: PROXY headers and TLS do not go together",
		],
		["an Ingress for no host", { ingress: { enabled: true } }, "ingress.hosts: name at least one host"],
		["a route of no Gateway", { httpRoute: { enabled: true } }, "httpRoute.parentRefs: name the Gateway"],
		["less memory than /dev/shm", { memory: "64Mi", sharedMemory: "128Mi" }, "memory: it is less than sharedMemory"],
	])("refuses %s, and says why", async (_, values, message) => {
		const file = join(folder, "values.yaml");
		writeFileSync(file, stringify(values));
		const { status, output } = await template(chart, "--values", file);
		expect(output).toContain(message);
		expect(status).toBe(1);
	});

	it("takes the values in the guide", async () => {
		const [, block] = /^ *```yaml [^\n]*values of the chart[^\n]*\n(.*?)^ *```$/ms.exec(
			readFileSync("docs/how-to/operations/kubernetes.md", "utf8"),
		)!;
		const file = join(folder, "guide.yaml");
		writeFileSync(file, block!);
		const { status, output } = await template(chart, "--values", file);
		expect(status, output).toBe(0);
		expect(output).toContain("registry.example.com/shardcast:");
	});

	it("has the alerts and recording rules of deploy/prometheus, with links to the runbook", async () => {
		const { spec } = parseManifests(await manifestsOf("cluster")).find(({ kind }) => kind === "PrometheusRule");
		const found = (spec.groups as { rules: object[] }[]).flatMap((group) => group.rules);
		const link = "https://git.example.com/shardcast/blob/main/docs/";
		expect(JSON.parse(JSON.stringify(found).replaceAll(link, "docs/"))).toEqual(rules());
		expect(JSON.stringify(found).split(link).length - 1).toBe(rules().filter((rule) => rule.alert !== undefined).length);
	});

	it("packs the alert rules themselves, not links to them", async () => {
		expect((await withHelm("package", chart, "--destination", folder)).status).toBe(0);
		const packed = join(folder, `shardcast-${JSON.parse(readFileSync("package.json", "utf8")).version}.tgz`);
		expect(await render("cluster", packed)).toBe(await manifestsOf("cluster"));
	});
});

/** The rules are checked by themselves: a change to them needs no helm. */
function withoutRules(manifests: string): string {
	return manifests.replace(/^(kind: PrometheusRule\n(?:(?!---).*\n)*?spec:\n {2}groups:)\n(?:(?!---).*\n)*/m, "$1 []\n");
}
