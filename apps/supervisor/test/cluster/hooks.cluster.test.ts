import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Cluster, freePorts, httpRequest, ManagedProcess, startCluster, waitFor } from "@shardcast/testkit";
import { Centrifuge, type ConnectedContext } from "centrifuge";
import { Centrifuge as CentrifugeProtobuf } from "centrifuge/build/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { missingLine, readDocPages } from "../support/doc-blocks.ts";

const root = join(import.meta.dirname, "../../../..");
const example = join(root, "examples/backend");
const deadlineMs = 15_000;
const run = promisify(execFile);

/** examples/backend on 2 shards: JSON on shard 0, Protobuf on shard 1. What it grants lasts 3 s. */
describe("a cluster that asks a backend", () => {
	let cluster: Cluster;
	let backend: ManagedProcess;
	let port: number;
	const clients: Centrifuge[] = [];

	const startBackend = async () => {
		backend = await ManagedProcess.start(join(example, "backend.mjs"), [String(port), "3"]);
		await backend.waitForOutput(/listens on port/, deadlineMs);
	};
	beforeAll(async () => {
		port = await freePorts();
		const config = readFileSync(join(example, "backend.yaml"), "utf8").replaceAll("localhost:3000", `127.0.0.1:${port}`);
		await startBackend();
		cluster = await startCluster({ shards: 2, config });
	});
	afterAll(async () => {
		for (const client of clients) client.disconnect();
		expect((await cluster.stop()).code, cluster.log()).toBe(0);
		await backend.stop();
	});

	/** By a cookie on shard 0, and as a page does it on shard 1. */
	function open(shard: number, session: string): Centrifuge {
		const url = `${cluster.shardUrl(shard)}/connection/websocket`;
		// However long the backend was away.
		const delays = { minReconnectDelay: 50, maxReconnectDelay: 500 };
		const withCookie = class extends WebSocket {
			constructor(address: string, protocols: string) {
				super(address, protocols, { headers: { cookie: `session=${session}` } });
			}
		};
		const client =
			shard === 0
				? new Centrifuge(url, { websocket: withCookie, ...delays })
				: new (CentrifugeProtobuf as unknown as typeof Centrifuge)(url, {
						websocket: WebSocket,
						headers: { Authorization: `Bearer ${session}` },
						...delays,
					});
		clients.push(client);
		return client;
	}

	it("every hook answers clients of npm centrifuge on both shards", async () => {
		await Promise.all([0, 1].map((shard) => everyHook(shard)));
	});

	async function everyHook(shard: number): Promise<void> {
		const bytes = (data: unknown) => (shard === 0 ? data : Buffer.from(JSON.stringify(data)));
		const json = (data: unknown): unknown => (data instanceof Uint8Array ? JSON.parse(Buffer.from(data).toString()) : data);
		const client = open(shard, "s-ann");
		const connected = new Promise<ConnectedContext>((resolve) => client.once("connected", resolve));
		client.connect();
		const { client: id, data } = await connected;
		expect(json(data)).toEqual({ chats: ["chat:all", "chat:team"] });
		const heard: unknown[] = [];
		const team = client.newSubscription("chat:team");
		team.on("publication", (publication) => heard.push(json(publication.data)));
		team.subscribe();
		await team.ready(deadlineMs);
		await team.publish(bytes({ text: `from ${shard}` }));
		await waitFor(() => heard.length > 0, { deadlineMs, what: "a publication" });
		expect(heard).toContainEqual({ text: expect.stringMatching(/^from [01]$/), by: "ann", session: "ann" });
		await expect(team.publish(bytes({ text: 1 }))).rejects.toMatchObject({ code: 1000 });
		expect(json((await client.rpc("chats", bytes(null))).data)).toEqual(["chat:all", "chat:team"]);
		await expect(client.rpc("none", bytes(null))).rejects.toMatchObject({ code: 404, message: "there is no method none" });
		const other = client.newSubscription("chat:other");
		const refused = new Promise((resolve) => other.once("unsubscribed", ({ code }) => resolve(code)));
		other.subscribe();
		expect(await refused).toBe(403);
		for (const hook of ["refresh", "sub_refresh"]) await backend.waitForOutput(new RegExp(`^${hook} .*"client":"${id}"`, "m"), deadlineMs);
		expect([client.state, team.state]).toEqual(["connected", "subscribed"]);
		client.disconnect();
	}

	it("who has no session is closed with the backend's code, and does not come back", async () => {
		const client = open(0, "none");
		const closed = new Promise((resolve) => client.once("disconnected", ({ code, reason }) => resolve([code, reason])));
		client.connect();
		expect(await closed).toEqual([4501, "unauthorized"]);
	});

	it.each([
		["uni_sse", "Cookie: theme=dark"],
		["uni_websocket", "Cookie: theme=dark"],
		["uni_sse", "Cookie:"],
		["uni_websocket", "Cookie:"],
	])("a header that comes in several lines reaches the backend whole: %s, after %s", async (path, first) => {
		const lines = ["Host: a.example", first, "Cookie: session=s-ann"];
		const upgrade = [
			"Upgrade: websocket",
			"Connection: Upgrade",
			"Sec-WebSocket-Version: 13",
			"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
		];
		const head = [`GET /connection/${path}?cf_connect={} HTTP/1.1`, ...lines, ...(path === "uni_websocket" ? upgrade : []), "", ""];
		const { hostname, port: shardPort } = new URL(cluster.shardUrl(0));
		const socket = connect(Number(shardPort), hostname, () => socket.write(head.join("\r\n")));
		let got = "";
		socket.on("data", (part) => {
			got += part.toString("latin1");
		});
		await waitFor(() => /"client"|unauthorized/.test(got), { deadlineMs, what: "an answer to the connect" });
		socket.destroy();
		expect(got).toContain('"chats":["chat:all","chat:team"]');
	});

	it("the transcript of the page is true", { tags: ["long"] }, async () => {
		const page = readDocPages().find(({ file }) => file.endsWith("ask-your-backend.md"))!;
		const blocks = page.blocks.filter(({ code }) => code.startsWith("curl "));
		expect(blocks.length, "commands on the page").toBeGreaterThan(0);
		const compare = async (block: (typeof blocks)[number]) => {
			const command = block.code.replace("http://127.0.0.1:3005", cluster.httpUrl);
			// 28: the stream went on until curl's time was over.
			const { stdout } = await run("bash", ["-c", `${command.trim()} || test $? = 28`]);
			const shown = page.blocks[page.blocks.indexOf(block) + 1]!.code;
			expect(missingLine(shown, stdout), `a line that the page shows of ${block.code}, in ${stdout}`).toBeNull();
		};
		await Promise.all(blocks.map(compare));
	});

	it("while the backend is down clients get error 100, and come in when it is back", async () => {
		await backend.stop();
		const client = open(0, "s-bob");
		const failed = new Promise((resolve) => client.once("error", ({ error }) => resolve(error.code)));
		client.connect();
		expect(await failed).toBe(100);
		await startBackend();
		await client.ready(deadlineMs);
		const told = async () => {
			const { body } = await httpRequest(`${cluster.httpUrl}/metrics`);
			expect(body).toMatch(/^shardcast_hook_requests_total\{[^}]*hook="connect"[^}]*result="unreachable"[^}]*\} [1-9]/m);
			expect(body).toMatch(/^shardcast_hook_duration_seconds_count\{[^}]*hook="publish"[^}]*\} [1-9]/m);
			return true;
		};
		// A process that is late is missing in them.
		await waitFor(told, { deadlineMs, what: "the metrics of both" });
	});
});
