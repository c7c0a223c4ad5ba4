import { defaultConfig } from "@shardcast/config";
import { describe, expect, it, vi } from "vitest";
import { verbs } from "../../src/admin/verbs/index.ts";
import { fakeCluster, fakeService } from "./support.ts";

const linesOf = (answer: { readonly body: { readonly events: readonly { readonly lines: readonly string[] }[] } }) =>
	answer.body.events.at(-1)!.lines;

describe("verbs", () => {
	it("have different names, a sentence, and an example that begins with the name", () => {
		expect(new Set(verbs.map(({ name }) => name)).size).toBe(verbs.length);
		for (const { name, summary, example, arguments: table } of verbs) {
			expect(name).toMatch(/^[a-z]+(-[a-z]+)*$/);
			expect(summary).toMatch(/\.$/);
			expect(`${example} `.startsWith(`${name} `), example).toBe(true);
			// They are flags of the commands themselves.
			for (const argument of Object.keys(table)) expect(["json", "pid", "url", "config", "help", "version"]).not.toContain(argument);
		}
	});

	it("status shows processes, clients, what is wrong, and operations in progress", async () => {
		const events = [{ at: 0, level: "bad" as const, text: "shard 1 died; restarting it" }];
		const { run, call } = fakeService(fakeCluster({ events: () => events }));
		const answer = await run("status");
		expect(answer.body.events[0].result).toMatchObject({
			...{ version: "1.2.3", command: "multi", pid: 100, health: "degraded", reasons: ["shard 1: starting"], connections: 3 },
			...{ shards: [{ id: 0 }, { id: 1 }], operations: [], events, logLevel: "info" },
		});
		const lines = linesOf(answer);
		expect(lines[0]).toMatch(/^shardcast 1\.2\.3 multi, supervisor 100, up .*: degraded, 3 of 20 connections$/);
		expect(lines).toContain("! shard 1: starting");
		expect(lines).toContain("  shard 1   103  starting  not pinned  0 of 10 connections  1 restart");
		expect(lines.at(-1)).toBe("  1970-01-01T00:00:00.000Z  bad: shard 1 died; restarting it");
		expect((await call("status")).body.events[0].result.pid).toBe(100);
	});

	it("status of a gateway shows its backends, and works without them", async () => {
		const backends = [0, 1].map((id) => ({ id, address: `10.0.0.${id}:9`, isUp: id === 0 }));
		const gateway = fakeCluster({ workers: "gateway", command: "gateway", gateway: async () => ({ backends }) as never });
		const answer = await fakeService(gateway).run("status");
		expect(answer.body.events[0].result).toMatchObject({
			backends,
			reasons: ["shard 1: starting", "backend 1 (10.0.0.1:9) is not connected"],
		});
		const stopping = fakeCluster({ workers: "gateway", command: "gateway", gateway: async () => Promise.reject(new Error("it stops")) });
		expect((await fakeService(stopping).run("status")).body.events).toMatchObject([
			{ type: "warning", text: "the state of the backends is unknown: it stops" },
			{ type: "end", outcome: "done" },
		]);
	});

	it("log-level changes the options of all processes, and goes back after a time", async () => {
		vi.useFakeTimers();
		try {
			const cluster = fakeCluster();
			const { run } = fakeService(cluster);
			expect(linesOf(await run("log-level", { level: "warn" }))).toEqual(["log level info → warn"]);
			expect(cluster.config().logLevel).toBe("warn");
			expect(linesOf(await run("log-level", { level: "debug", for: "10m" }))[0]).toMatch(/^log level warn → debug; warn again at /);
			vi.advanceTimersByTime(599_000);
			expect(cluster.config().logLevel).toBe("debug");
			vi.advanceTimersByTime(2000);
			expect(cluster.config().logLevel).toBe("warn");
			expect(cluster.told).toEqual(["log level debug → warn: the 10m of log-level are over"]);
		} finally {
			vi.useRealTimers();
		}
	});

	it("log-level does not go back to what was before two temporary changes in a row are over, nor over a later change", async () => {
		vi.useFakeTimers();
		try {
			const cluster = fakeCluster();
			const { run } = fakeService(cluster);
			await run("log-level", { level: "debug", for: "1m" });
			await run("log-level", { level: "warn", for: "5m" });
			vi.advanceTimersByTime(61_000);
			expect(cluster.config().logLevel).toBe("warn");
			vi.advanceTimersByTime(300_000);
			// Not to debug, which should have ended after a minute.
			expect(cluster.config().logLevel).toBe("info");
			await run("log-level", { level: "debug", for: "1m" });
			cluster.setConfig({ ...cluster.config(), logLevel: "error" });
			vi.advanceTimersByTime(61_000);
			expect(cluster.config().logLevel).toBe("error");
		} finally {
			vi.useRealTimers();
		}
	});

	it("reload says what SIGHUP would log, and is refused or partly done where a part keeps its old state", async () => {
		const done = { result: "applied", text: "applied" } as const;
		const reloading = (report: object) =>
			fakeService(fakeCluster({ reload: async () => ({ options: done, certificates: null, route: null, ...report }) })).run("reload");
		expect(linesOf(await reloading({}))).toEqual(["applied"]);
		expect((await reloading({ certificates: "certificates not reloaded" })).body).toMatchObject({
			outcome: "partly",
			events: [{ reason: "certificates not reloaded" }],
		});
		expect((await reloading({ options: { result: "rejected", text: "line 3 is wrong" } })).body).toMatchObject({
			outcome: "refused",
			events: [{ reason: "line 3 is wrong" }],
		});
		expect((await reloading({ options: { result: "no_file", text: "there is no config file" } })).body.outcome).toBe("refused");
	});

	it("reload is refused only if nothing was read again: files that were make it partly done", async () => {
		const config = () => ({ ...defaultConfig(), tlsCert: "/a.pem", kafkaRoute: "/route.js" });
		const reloading = (report: object) =>
			fakeService(fakeCluster({ config, reload: async () => ({ certificates: null, route: null, ...report }) as never })).run("reload");
		const wrong = { result: "rejected", text: "line 3 is wrong" };
		const absent = { result: "no_file", text: "there is no config file" };
		expect((await reloading({ options: wrong })).body).toMatchObject({
			outcome: "partly",
			events: [{ reason: "line 3 is wrong", result: { certificates: "in use", route: "in use" } }],
		});
		expect((await reloading({ options: absent })).body.outcome).toBe("done");
		expect((await reloading({ options: absent, route: "no route" })).body).toMatchObject({
			outcome: "partly",
			events: [{ reason: "no route" }],
		});
		for (const options of [wrong, absent])
			expect((await reloading({ options, certificates: "no certificate", route: "no route" })).body).toMatchObject({
				outcome: "refused",
				events: [{ reason: `${options.text}; no certificate; no route` }],
			});
	});

	it("kick closes a user's connections, and can refuse new ones", async () => {
		const asked: [string, unknown][] = [];
		let stored = "kept";
		const ask = async ({ name }: { readonly name: string }, request: unknown) => {
			asked.push([name, request]);
			return name === "keep_revocation" ? stored : 2;
		};
		const { run } = fakeService(fakeCluster({ ask: ask as never }));
		expect(linesOf(await run("kick", { user: "42", client: "c1", reconnect: true }))).toEqual(['closed 2 connections of user "42"']);
		expect(asked).toEqual([["disconnect", { user: "42", client: "c1", code: 3011, reason: "force reconnect" }]]);

		asked.length = 0;
		const blocked = await run("kick", { user: "42", block: "10m" });
		expect(linesOf(blocked)[0]).toBe('closed 4 connections of user "42"');
		const { until } = (asked[0]![1] as { readonly add: { readonly until: number } }).add;
		expect(Math.abs(until - Date.now() / 1000 - 600)).toBeLessThan(5);
		expect(asked).toEqual([
			["keep_revocation", { add: { kind: "user", id: "42", until } }],
			["disconnect", { user: "42", code: 3503, reason: "force disconnect" }],
			["revoke", { add: { kind: "user", id: "42", until } }],
		]);

		stored = "alone";
		expect((await run("kick", { user: "42", block: "10m" })).body).toMatchObject({
			outcome: "partly",
			events: [{ reason: expect.stringContaining("Redis") }],
		});
		stored = "full";
		asked.length = 0;
		expect((await run("kick", { user: "42", block: "10m" })).body.outcome).toBe("refused");
		expect(asked).toHaveLength(1);
		expect((await run("kick", { user: "42", block: "10m", reconnect: true })).body.outcome).toBe("refused");
	});
});
