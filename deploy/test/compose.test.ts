import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { configKeys, environmentName } from "@shardcast/config";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { deploy } from "./metric-names.ts";

const root = join(deploy, "..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

interface Service {
	readonly image: string;
	readonly environment?: Readonly<Record<string, string>>;
	readonly ports?: readonly string[];
	readonly volumes?: readonly string[];
	readonly healthcheck?: unknown;
	readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
	readonly [other: string]: unknown;
}
interface Compose {
	readonly services: Readonly<Record<string, Service>>;
	readonly volumes: Readonly<Record<string, unknown>>;
}

const compose = (file: string): Compose => parse(read(file), { merge: true }) as Compose;
const multi = compose("docker-compose.multi.yml");
const cluster = compose("docker-compose.cluster.yml");
const seconds = (text: unknown): number => Number.parseInt(String(text), 10);

describe.each([
	["docker-compose.multi.yml", multi, ["shardcast"]],
	["docker-compose.cluster.yml", cluster, ["n1", "n2", "n3"]],
] as const)("%s", (_, { services: byName, volumes: declared }, nodes) => {
	const services = Object.entries(byName);

	it("pins every image that is pulled to a version", () => {
		for (const [name, { image, build }] of services)
			expect(image, name).toMatch(build === undefined ? /^[a-z/]+:v?\d+\.\d+(\.\d+)?(-alpine)?$/ : /^shardcast(-tools)?:local$/);
	});

	it("starts in order, each part once that before it is healthy", () => {
		for (const [name, { depends_on, healthcheck }] of services) {
			for (const [on, { condition }] of Object.entries(depends_on ?? {})) {
				expect(condition, `${name} on ${on}`).toBe("service_healthy");
				// shardcast's own check is in its image.
				if (!(nodes as readonly string[]).includes(on)) expect(byName[on]!.healthcheck, on).toBeDefined();
			}
			if (healthcheck === undefined) expect([...nodes, "demo"]).toContain(name);
		}
	});

	it("runs everything without privilege, and all but Kafka as nobody special on a read-only root", () => {
		for (const [name, { read_only, cap_drop, user, security_opt, restart, logging }] of services) {
			expect({ cap_drop, security_opt }, name).toEqual({ cap_drop: ["ALL"], security_opt: ["no-new-privileges:true"] });
			expect({ restart, logging }, name).toMatchObject({ restart: "unless-stopped", logging: { options: { "max-size": "10m" } } });
			if (name === "kafka") continue;
			expect(read_only, name).toBe(true);
			expect(user, name).toMatch(/^[1-9]\d*:\d+$/);
		}
	});

	it("publishes ports on the loopback alone", () => {
		for (const [name, { ports }] of services)
			for (const port of ports ?? []) expect(port, name).toMatch(/^(127\.0\.0\.1|\$\{SHARDCAST_PUBLISH:-127\.0\.0\.1\}):/);
	});

	it("waits longer for a stop than the cluster takes at most, and gives it the files and the shared memory", () => {
		for (const name of nodes) {
			const { stop_grace_period, environment, ulimits, shm_size } = byName[name]!;
			const { SHARDCAST_SHUTDOWN_TIMEOUT, SHARDCAST_DRAIN_DELAY } = environment!;
			expect(seconds(SHARDCAST_DRAIN_DELAY)).toBeGreaterThan(0);
			expect(seconds(stop_grace_period)).toBeGreaterThan(seconds(SHARDCAST_SHUTDOWN_TIMEOUT) + seconds(SHARDCAST_DRAIN_DELAY));
			expect(ulimits).toEqual({ nofile: { soft: 65536, hard: 65536 } });
			expect(seconds(shm_size)).toBeGreaterThanOrEqual(256);
		}
	});

	it("names only options that there are", () => {
		const known = [...configKeys.map(environmentName), "NODE_ID", "REDIS_URL", "POSTGRES_URL"];
		for (const name of nodes) for (const variable of Object.keys(byName[name]!.environment!)) expect(known).toContain(variable);
		for (const [, name] of read("deploy/Dockerfile").matchAll(/ENV (SHARDCAST_\w+)=/g)) expect(known).toContain(name);
	});

	it("mounts only what there is", () => {
		for (const [name, { volumes }] of services)
			for (const volume of volumes ?? []) {
				const path = volume.split(":")[0]!;
				if (path.startsWith("./")) expect(existsSync(join(root, path)), `${name}: ${path}`).toBe(true);
				else expect(declared, `${name}: ${path}`).toHaveProperty(path);
			}
	});
});

describe("docker-compose.multi.yml", () => {
	it("gives shardcast 3 CPUs, 14 GB, three shards and 12,000 connections", () => {
		const { cpus, mem_limit, environment } = multi.services.shardcast!;
		expect({ cpus, mem_limit }).toEqual({ cpus: 3, mem_limit: "14g" });
		expect(environment).toMatchObject({ SHARDCAST_SHARDS: "3", SHARDCAST_MAX_CONNECTIONS: "12000" });
	});

	it("a stand-in can be made of every image that is pulled", () => {
		const targets = [...read("deploy/stand-ins/Dockerfile").matchAll(/^FROM \S+ AS (\w+)$/gm)].map(([, target]) => target);
		const pulled = Object.values(multi.services).flatMap(({ image, build }) => (build === undefined ? [/(\w+):/.exec(image)![1]!] : []));
		expect(targets.sort()).toEqual(pulled.sort());
	});
});

describe("docker-compose.cluster.yml", () => {
	const { n1, n2, n3, haproxy, redis, postgres } = cluster.services as Readonly<Record<string, Service>>;

	it("has three equal nodes, which differ by their ids alone", () => {
		for (const [id, node] of Object.entries({ n1, n2, n3 })) {
			expect(node!.environment!.NODE_ID).toBe(id);
			expect({ ...node!, environment: { ...node!.environment!, NODE_ID: "" } }).toEqual({
				...n1!,
				environment: { ...n1!.environment!, NODE_ID: "" },
			});
		}
	});

	it("has no secret: passwords must be set, and no program gets one as an argument", () => {
		const text = read("docker-compose.cluster.yml");
		for (const { environment = {}, command = [] } of Object.values(cluster.services)) {
			for (const [name, value] of Object.entries(environment))
				if (/PASSWORD|AUTH$|_URL$/.test(name) && name !== "SHARDCAST_REQUIRE_AUTH")
					expect(value, name).toMatch(/\$\{(REDIS|POSTGRES)_PASSWORD:\?/);
			expect(JSON.stringify(command)).not.toMatch(/_PASSWORD/);
		}
		expect(text.match(/_PASSWORD[}:](?!\?)/g)?.filter((match) => match.endsWith("}"))).toEqual([]);
		// Where the file says that they are kept.
		for (const ignored of [".gitignore", ".dockerignore"]) expect(read(ignored).split("\n")).toContain(".env");
	});

	it("keeps what Redis and PostgreSQL have in volumes", () => {
		expect(redis!.volumes).toEqual(["redis-data:/data"]);
		expect(postgres!.volumes).toEqual(["postgres-data:/var/lib/postgresql/data"]);
		expect(JSON.stringify(redis!.command)).toContain("--dir /data --appendonly yes");
	});

	it("only HAProxy has a port outside; its servers are the nodes, which trust its network", () => {
		for (const [name, { ports }] of Object.entries(cluster.services)) expect(ports !== undefined, name).toBe(name === "haproxy");
		expect(haproxy!.volumes).toEqual(["./deploy/haproxy/cluster.cfg:/usr/local/etc/haproxy/haproxy.cfg:ro"]);
		for (const [index, id] of ["n1", "n2", "n3"].entries())
			expect(haproxy!.environment![`NODE_${index + 1}`]).toBe(n1!.environment!.SHARDCAST_LB_ADDR!.replace(/^/, id));
		const networks = cluster as unknown as { networks: { default: { ipam: { config: unknown } } } };
		expect(networks.networks.default.ipam.config).toEqual([{ subnet: n1!.environment!.SHARDCAST_TRUSTED_PROXIES }]);
	});

	it("HAProxy treats nodes as leastconn.cfg does", () => {
		const backend = (file: string): string[] =>
			read(`deploy/haproxy/${file}`)
				.split("\nbackend nodes\n")[1]!
				.split("\n")
				.filter((line) => !line.includes(" server "))
				.map((line) => line.replace(" resolvers docker init-addr last,libc,none", ""));
		expect(backend("cluster.cfg")).toEqual(backend("leastconn.cfg"));
		const defaults = (file: string): string => /^defaults\n(?: .*\n)+/m.exec(read(`deploy/haproxy/${file}`))![0];
		expect(defaults("cluster.cfg")).toBe(defaults("leastconn.cfg"));
	});
});
