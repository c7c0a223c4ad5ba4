import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { type Cluster, postJson, Scrape, StreamClient, startCluster, waitFor } from "@shardcast/testkit";
import { Centrifuge, type Options, type PublicationContext } from "centrifuge";
import { Centrifuge as CentrifugeProtobuf } from "centrifuge/build/protobuf";
import { chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestEventSource } from "../../support/event-source.ts";

const deadlineMs = 10_000;
const browserPath = process.env.CHROMIUM_PATH ?? "/usr/bin/chromium";
const browserMissing = !existsSync(browserPath);
if (browserMissing) {
	const message = `SKIPPED: a browser test of the protocol needs Chromium at ${browserPath} (apt-get install chromium, or set CHROMIUM_PATH)`;
	if (process.env.CI === "true") throw new Error(message);
	console.warn(message);
}
const config =
	"client: { insecure: true }\nchannel:\n  namespaces:\n    - { name: kept, history_size: 1000, history_ttl: 5m, force_recovery: true, presence: true }\n";

for (const mode of ["handoff", "proxy"] as const)
	describe(`npm centrifuge without WebSockets on 2 shards, through the balancer (${mode})`, {
		tags: mode === "proxy" ? ["long"] : [],
	}, () => {
		let cluster: Cluster;
		const clients: Centrifuge[] = [];
		/** Still there when the cluster stops. */
		let last: StreamClient | null = null;
		beforeAll(async () => {
			cluster = await startCluster({ shards: 2, config, flags: ["--lb-mode", mode, "--max-connections", "30"] });
		});
		afterAll(async () => {
			expect((await cluster.stop()).code, cluster.log()).toBe(0);
			if (last === null) return;
			await waitFor(() => last!.isOver, { deadlineMs, what: "the end of the last stream" });
			expect(last.messages.at(-1)).toEqual({ disconnect: { code: 3001, reason: "shutdown" } });
			expect(last.isWhole).toBe(true);
		});

		type Kind = "http_stream" | "http_stream with Protobuf" | "sse";
		const kinds: readonly Kind[] = ["http_stream", "http_stream with Protobuf", "sse"];

		async function connect(kind: Kind): Promise<Centrifuge> {
			const transport = kind === "sse" ? "sse" : "http_stream";
			const options: Partial<Options> = {
				emulationEndpoint: `${cluster.httpUrl}/emulation`,
				eventsource: TestEventSource,
				fetch,
				readableStream: ReadableStream,
				minReconnectDelay: 10,
				maxReconnectDelay: 50,
			};
			const endpoints = [{ transport, endpoint: `${cluster.httpUrl}/connection/${transport}` } as const];
			const client =
				kind === "http_stream with Protobuf"
					? (new CentrifugeProtobuf(endpoints, { ...options, protocol: "protobuf" } as object) as unknown as Centrifuge)
					: new Centrifuge(endpoints, options);
			clients.push(client);
			client.connect();
			await client.ready(deadlineMs);
			return client;
		}

		async function listen(client: Centrifuge, channel: string): Promise<unknown[]> {
			const received: unknown[] = [];
			const subscription = client.newSubscription(channel);
			subscription.on("publication", ({ data }: PublicationContext) => {
				received.push(data instanceof Uint8Array ? (JSON.parse(Buffer.from(data).toString()) as unknown) : data);
			});
			subscription.subscribe();
			await subscription.ready(deadlineMs);
			return received;
		}

		const payload = (kind: Kind, value: unknown) => (kind === "http_stream with Protobuf" ? Buffer.from(JSON.stringify(value)) : value);

		it("all kinds together: what each publishes reaches all, whichever shard has it and whichever its requests come to", async () => {
			const all = await Promise.all([...kinds, ...kinds].map(async (kind) => ({ kind, client: await connect(kind) })));
			const received = await Promise.all(all.map(({ client }) => listen(client, "kept:all")));
			for (const [n, { kind, client }] of all.entries()) await client.publish("kept:all", payload(kind, { n }));
			await postJson(`${cluster.httpUrl}/api/publish`, { channel: "kept:all", data: { text: 'over\nHTTP "é"' } });
			await waitFor(() => received.every(({ length }) => length === all.length + 1), { deadlineMs, what: "all publications everywhere" });
			const expected = [...all.keys()].map((n) => ({ n }));
			for (const publications of received) expect(publications).toEqual([...expected, { text: 'over\nHTTP "é"' }]);
			// While a shard is late, on a busy machine, the answer is an error.
			const stats = async () => expect(await all[0]!.client.presenceStats("kept:all")).toEqual({ numClients: all.length, numUsers: 1 });
			await waitFor(stats, { deadlineMs, what: "the number of clients" });
			expect((await all[1]!.client.history("kept:all", { limit: 3 })).publications).toHaveLength(3);
			const { text: metrics } = await Scrape.of(cluster.httpUrl);
			const passed = [...metrics.matchAll(/^shardcast_emulation_frames_total\{[^}]*result="passedOn"[^}]*\} (\d+)/gm)];
			expect(passed.length).toBe(2);
			if (mode === "proxy") return;
			expect(passed.reduce((sum, [, count]) => sum + Number(count), 0)).toBeGreaterThan(0);
		});

		it.each(mode === "handoff" ? kinds : kinds.slice(2))("%s: a connection that is gone for a while costs nothing", async (kind) => {
			const client = await connect(kind);
			const channel = `kept:drop-${kinds.indexOf(kind)}`;
			const received = await listen(client, channel);
			const publish = async (n: number) => {
				expect((await postJson(`${cluster.httpUrl}/api/publish`, { channel, data: n })).status).toBe(200);
			};
			for (let n = 0; n < 10; n++) await publish(n);
			await waitFor(() => received.length === 10, { deadlineMs, what: "the first ten" });
			const back = new Promise<unknown>((resolve) => client.getSubscription(channel)!.once("subscribed", resolve));
			client.disconnect();
			for (let n = 10; n < 60; n++) await publish(n);
			client.connect();
			expect(await back).toMatchObject({ wasRecovering: true, recovered: true });
			for (let n = 60; n < 70; n++) await publish(n);
			await waitFor(() => received.length >= 70, { deadlineMs, what: "all of it" });
			expect(received).toEqual(Array.from({ length: 70 }, (_, n) => n));
		});

		if (mode === "handoff")
			it("a shard that is killed costs its clients a moment: they come back at the other one and miss nothing", async () => {
				const all = await Promise.all(kinds.map((kind) => connect(kind)));
				const received = await Promise.all(all.map((client) => listen(client, "kept:killed")));
				const { shards } = await cluster.health();
				const acknowledged: number[] = [];
				let stopped = false;
				const publishing = (async () => {
					for (let n = 0; !stopped; n++) {
						const answer = await postJson(`${cluster.httpUrl}/api/publish`, { channel: "kept:killed", data: n }).catch(() => null);
						if (answer?.status === 200) acknowledged.push(n);
						await new Promise((resolve) => setTimeout(resolve, 20));
					}
				})();
				await waitFor(() => acknowledged.length > 5, { deadlineMs, what: "some publications" });
				process.kill(shards[0]!.pid, "SIGKILL");
				await waitFor(() => acknowledged.length > 30, { deadlineMs, what: "some more" });
				stopped = true;
				await publishing;
				await cluster.ready();
				for (const numbers of received) {
					await waitFor(() => numbers.includes(acknowledged.at(-1)!), { deadlineMs, what: "the last publication" });
					// What was on its way to the shard that was killed may have arrived without its answer.
					const answered = new Set<unknown>(acknowledged);
					expect(numbers.filter((n) => answered.has(n))).toEqual(acknowledged);
				}
			});

		if (mode === "handoff")
			it.skipIf(browserMissing)("a browser: npm centrifuge and EventSource on a page of another origin", async () => {
				const browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox", "--disable-gpu", "--no-first-run"] });
				try {
					const page = await browser.newPage();
					// Another port is another origin: the browser asks first whether it may send JSON.
					await page.goto(`${cluster.shardUrl(0).replace(/^ws/, "http")}/health`);
					const library = createRequire(import.meta.url).resolve("centrifuge");
					await page.addScriptTag({ path: join(library, "../../dist/centrifuge.js") });
					const received = await page.evaluate(async (url) => {
						const { Centrifuge } = globalThis as unknown as { Centrifuge: typeof import("centrifuge").Centrifuge };
						const received: Record<string, unknown[]> = { sse: [], http_stream: [], uni: [] };
						const connect = encodeURIComponent(JSON.stringify({ subs: { browser: {} } }));
						const events = new EventSource(`${url}/connection/uni_sse?cf_connect=${connect}`);
						await new Promise((resolve) => {
							events.onmessage = ({ data }) => {
								const push = JSON.parse(data as string) as { connect?: object; pub?: { data: unknown } };
								if (push.pub !== undefined) received.uni!.push(push.pub.data);
								resolve(null);
							};
						});
						for (const transport of ["sse", "http_stream"] as const) {
							const endpoint = `${url}/connection/${transport}`;
							const client = new Centrifuge([{ transport, endpoint }], { emulationEndpoint: `${url}/emulation` });
							client.connect();
							const subscription = client.newSubscription("browser");
							subscription.on("publication", ({ data }) => received[transport]!.push(data));
							subscription.subscribe();
							await subscription.ready(10_000);
							await subscription.publish({ from: transport });
						}
						const until = performance.now() + 15_000;
						const missing = () => received.uni!.length < 2 || received.sse!.length < 2 || received.http_stream!.length < 1;
						while (missing() && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 5));
						events.close();
						return received;
					}, cluster.httpUrl);
					const [sse, stream] = [{ from: "sse" }, { from: "http_stream" }];
					expect(received).toEqual({ sse: [sse, stream], http_stream: [stream], uni: [sse, stream] });
				} finally {
					await browser.close();
				}
			});

		it.skipIf(browserMissing)("a browser: npm centrifuge by WebSocket recovers all that it missed while it was cut off", async () => {
			const browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox", "--disable-gpu", "--no-first-run"] });
			try {
				const page = await browser.newPage();
				await page.goto(`${cluster.httpUrl}/health`);
				const library = createRequire(import.meta.url).resolve("centrifuge");
				await page.addScriptTag({ path: join(library, "../../dist/centrifuge.js") });
				await page.evaluate(async (url) => {
					const { Centrifuge } = globalThis as unknown as { Centrifuge: typeof import("centrifuge").Centrifuge };
					const seen = { isCut: false, socket: null as WebSocket | null, numbers: [] as unknown[], recovered: [] as boolean[] };
					Object.assign(globalThis, { seen });
					class CutOff extends WebSocket {
						constructor(address: string, protocols?: string | string[]) {
							super(seen.isCut ? "ws://127.0.0.1:1" : address, protocols ?? []);
							seen.socket = this;
						}
					}
					const client = new Centrifuge(url, { websocket: CutOff, minReconnectDelay: 50, maxReconnectDelay: 100 });
					client.connect();
					const subscription = client.newSubscription("kept:browser");
					subscription.on("publication", ({ data }) => seen.numbers.push(data));
					subscription.on("subscribed", ({ wasRecovering, recovered }) => seen.recovered.push(wasRecovering && recovered));
					subscription.subscribe();
					await subscription.ready(10_000);
					await subscription.publish(1);
				}, `${cluster.url}/connection/websocket`);
				const seen = () => page.evaluate("({ numbers: seen.numbers, recovered: seen.recovered })") as Promise<object>;
				const has = (count: number) => page.waitForFunction(`seen.numbers.length >= ${count}`, null, { timeout: deadlineMs });
				const publish = (data: number) => postJson(`${cluster.httpUrl}/api/publish`, { channel: "kept:browser", data });
				await has(1);
				await page.evaluate("seen.isCut = true; seen.socket.close()");
				for (let number = 2; number <= 21; number++) expect((await publish(number)).status).toBe(200);
				expect(await seen()).toEqual({ numbers: [1], recovered: [false] });
				await page.evaluate("seen.isCut = false");
				await has(21);
				await publish(22);
				await has(22);
				expect(await seen()).toEqual({ numbers: Array.from({ length: 22 }, (_, index) => index + 1), recovered: [false, true] });
			} finally {
				await browser.close();
			}
		});

		/** Clients of each shard. */
		const connected = async () => {
			const { text: metrics } = await Scrape.of(cluster.httpUrl);
			return [...metrics.matchAll(/^websocket_active_connections\{[^}]*\} (\d+)/gm)].map(([, count]) => Number(count));
		};
		const total = async () => (await connected()).reduce((sum, count) => sum + count, 0);

		it("streams count as connections: the limit holds, and a client that has left makes room", async () => {
			for (const client of clients) client.disconnect();
			await waitFor(async () => (await total()) === 0, { deadlineMs, what: "all to be gone" });
			const open = () => StreamClient.open(`${cluster.httpUrl}/connection/uni_sse?cf_connect={"subs":{"news":{}}}`);
			const all = await Promise.all(Array.from({ length: 30 }, open));
			await Promise.all(all.map((client) => client.next(1)));
			await waitFor(async () => (await total()) === 30, { deadlineMs, what: "30 connections in the metrics" });
			expect(Math.max(...(await connected()))).toBe(15);
			const response = await fetch(`${cluster.httpUrl}/connection/uni_sse`);
			expect([response.status, (await response.text()).includes("cluster_full")]).toEqual([503, true]);
			await postJson(`${cluster.httpUrl}/api/publish`, { channel: "news", data: "all" });
			for (const client of all) expect((await client.next(2))[1]).toEqual({ channel: "news", pub: { data: "all" } });
			last = all.pop()!;
			for (const client of all) client.leave();
			await waitFor(async () => (await total()) === 1, { deadlineMs, what: "those that have left to be gone" });
		});
	});
