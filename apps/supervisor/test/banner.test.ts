import { type Config, defaultConfig } from "@shardcast/config";
import { expect, it } from "vitest";
import { banner } from "../src/banner.ts";
import type { Plan } from "../src/preflight/preflight.ts";

function text(changes: Partial<Config>, plan: Partial<Plan> = {}, connectionsFit = Number.POSITIVE_INFINITY): string {
	const config = defaultConfig({ shards: 3, basePort: 4000, maxConnections: 100, ...changes });
	const shards = [0, 1, 0].map((core, slot) => ({ slot, core }));
	const topology = { shards, cpus: [0, 1], cpuCount: 2, source: "CPU affinity", wraps: true };
	const whole: Plan = {
		config,
		certificates: [],
		topology,
		mode: { mode: "handoff", why: "it works" },
		pin: (core) => ({ kind: "taskset", core: core! }),
		warnings: [],
		...plan,
	};
	return banner({ version: "1.2.3", plan: whole, connectionsFit, balancer: { port: 5000 } });
}

it("tells the URLs, the shards with their cores, the mode and why, and that pins wrap around", () => {
	const lines = text({});
	expect(lines).toContain("shardcast 1.2.3 on Node ");
	expect(lines).toMatch(/clients +ws:\/\/127\.0\.0\.1:5000$/m);
	expect(lines).toMatch(/health +http:\/\/127\.0\.0\.1:5000\/health/);
	expect(lines).toMatch(/shard 2 +ws:\/\/127\.0\.0\.1:4002 +CPU 0 +up to 34 clients/);
	expect(text({}, {}, 20), "what its open files allow").toMatch(/shard 2 .* up to 20 clients/);
	expect(lines).toMatch(/mode +handoff: it works/);
	expect(lines).toContain("3 shards on 2 CPUs of 0-1 (CPU affinity); pins wrap around");
});

it("says who may publish, and warns of open mode", () => {
	expect(text({})).toMatch(/open mode: .*over HTTP and as a WebSocket client$/m);
	const open = { apiKey: "swordfish", requireAuth: false };
	expect(text(open)).toMatch(/^ {2}publishing needs the key, over HTTP; WebSocket clients only receive/m);
	expect(text({ ...open, clientPublish: "on" })).toMatch(/every WebSocket client can publish without it/);
	expect(text({ apiKey: "swordfish" })).toMatch(/^ {2}authentication is required: no client can connect by a token/m);
	const connectProxy = { ...defaultConfig().connectProxy, enabled: true, endpoint: "http://backend.example/connect" };
	expect(text({ connectProxy })).toMatch(
		/^ {2}authentication is required: your backend decides which clients connect .*raw clients cannot/m,
	);
	expect(text({ connectProxy, tokenHmacSecret: "swordfish" })).toMatch(/required: clients need a token, or your backend lets them in/);
	expect(text({ apiKey: "swordfish" })).not.toContain("open mode");
	expect(text({ apiKey: "swordfish" })).not.toContain("swordfish");
});

it("says when clients need no token", () => {
	expect(text({ clientInsecure: true })).toMatch(/^ {2}insecure mode: every client of the Centrifuge protocol may/m);
	expect(text({})).not.toContain("Centrifuge");
});

it("says when shards are not pinned", () => {
	expect(text({}, { pin: () => ({ kind: "none" }) })).toMatch(/shard 0 .* not pinned/);
});

it("tells what is read from Kafka, from where and how, and only where it is used", () => {
	expect(text({})).not.toContain("kafka");
	const kafka = { kafkaBrokers: ["k1:9092", "k2:9092"], kafkaTopics: "ticks,/a\\..+/", kafkaGroup: "g" };
	expect(text(kafka)).toMatch(
		/kafka +reads ticks,\/a\\\.\.\+\/ from k1:9092,k2:9092; per-shard; group g-0 to g-2; begins at the latest record$/m,
	);
	const more = {
		kafkaMode: "shared",
		kafkaFrom: "committed",
		kafkaPublishTopic: "out",
		kafkaDeadLetter: "dead",
		kafkaPassword: "swordfish",
	} as const;
	const all = text({ ...kafka, ...more });
	expect(all).toMatch(
		/reads .*,out from .*; shared; group g; begins at the committed offsets; clients publish to out; dead letters to dead$/m,
	);
	expect(all).not.toContain("swordfish");
});
