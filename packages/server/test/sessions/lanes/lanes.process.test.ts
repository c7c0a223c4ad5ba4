import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { defaultConfig } from "@shardcast/config";
import { httpRequest, RawClient, waitFor } from "@shardcast/testkit";
import { afterEach, describe, expect, it } from "vitest";
import { startShards, type TestShards } from "../../harness.ts";

let running: TestShards | undefined;
afterEach(async () => {
	await running?.stop();
	running = undefined;
});

const plain = defaultConfig().channelWithoutNamespace;
const maxBufferedBytes = 256 * 1024;
const bytes = 10_000;
const history = { historySize: 5000, historyTtlMs: 600_000 };

async function start(): Promise<TestShards> {
	running = await startShards(1, {
		config: {
			clientInsecure: true,
			maxBufferedBytes,
			channelWithoutNamespace: { ...plain, slowClient: "drop-oldest" },
			channelNamespaces: [
				{ ...plain, name: "latest", slowClient: "keep-latest", slowClientKeyTag: "symbol" },
				{ ...plain, ...history, name: "kept", slowClient: "drop-oldest", forceRecovery: true },
				{ ...plain, ...history, name: "strict", allowHistoryForSubscriber: true },
			],
		},
		historyBytes: 32 * 1024 * 1024,
	});
	return running;
}

/** The number at the begin of what was published. */
const numbered = (number: number): string => `${number}:`.padEnd(bytes, ".");
const numbersIn = (text: string): number[] => [...text.matchAll(/(\d+):\.+/g)].map((match) => Number(match[1]));
const numbersOf = (client: RawClient): number[] => client.messages.flatMap((message) => numbersIn(message.bytes.toString()));

class Publisher {
	sent = 0;
	readonly #url: string;
	readonly #channel: string;

	constructor({ shards }: TestShards, channel: string) {
		this.#url = `${shards[0].url.replace("ws:", "http:")}/api/publish`;
		this.#channel = channel;
	}

	async publish(count: number, tags?: (number: number) => Record<string, string>): Promise<void> {
		for (let index = 0; index < count; index++) {
			const number = this.sent++;
			const channel = this.#channel === "" ? {} : { channel: this.#channel };
			const body = Buffer.from(JSON.stringify({ ...channel, data: numbered(number), ...(tags && { tags: tags(number) }) }));
			const post = () => httpRequest(this.#url, { method: "POST", headers: { "content-type": "application/json" }, body });
			// A history whose readers are behind says so.
			await waitFor(async () => (await post()).status < 300, { deadlineMs: 5000, what: `publication ${number}` });
		}
	}
}

/** A client of the protocol that has subscribed. */
async function subscriber({ rawClient }: TestShards, channel: string): Promise<RawClient> {
	const client = await rawClient(0, "/connection/websocket");
	client.send(`{"id":1,"connect":{}}\n${JSON.stringify({ id: 2, subscribe: { channel, recoverable: true } })}`);
	await waitFor(() => client.texts().join("\n").includes('"id":2'), { deadlineMs: 5000, what: "the reply to the subscribe" });
	return client;
}

/** A client of the protocol that has subscribed, and reads nothing until it is told to. */
interface SlowReader {
	resume(): void;
	numbers(): number[];
	leave(): void;
}

/** Reads the answer of a stream; of what comes while it is paused, Node.js takes some 64 KiB from the kernel. */
async function slowStream({ shards }: TestShards, path: string, body: string): Promise<SlowReader> {
	const asked = request(`${shards[0].httpUrl}${path}`, { method: body === "" ? "GET" : "POST" }).end(body);
	const [response] = (await once(asked, "response")) as [IncomingMessage];
	const parts: Buffer[] = [];
	response.on("data", (part: Buffer) => parts.push(part)).on("error", () => {});
	const text = () => Buffer.concat(parts).toString("latin1");
	await waitFor(() => text().includes('"subs"'), { deadlineMs: 5000, what: `the reply on ${path}` });
	response.pause();
	return { resume: () => void response.resume(), numbers: () => numbersIn(text()), leave: () => void response.destroy() };
}

/** {id: 1, connect: {}} and {id: 2, subscribe: {channel}}, each with its length. */
function protobufCommands(channel: string): Uint8Array {
	const name = [10, channel.length, ...Buffer.from(channel)];
	const subscribe = [8, 2, 42, name.length, ...name];
	return Uint8Array.of(4, 8, 1, 34, 0, subscribe.length, ...subscribe);
}

async function slowProtobuf({ shards }: TestShards, channel: string): Promise<SlowReader> {
	const client = await RawClient.open(`${shards[0].url}/connection/websocket`, { "Sec-WebSocket-Protocol": "centrifuge-protobuf" });
	const replied = Buffer.of(8, 2, 50);
	client.send(protobufCommands(channel));
	await waitFor(() => client.messages.some(({ bytes }) => bytes.includes(replied)), {
		deadlineMs: 5000,
		what: "the reply to the subscribe",
	});
	client.socket.tcp.pause();
	return { resume: () => void client.socket.tcp.resume(), numbers: () => numbersOf(client), leave: () => void client.socket.tcp.destroy() };
}

/** One of each transport that drops other than by frames of text. */
async function slowReaders(cluster: TestShards, channel: string): Promise<Readonly<Record<string, SlowReader>>> {
	const connect = JSON.stringify({ id: 1, connect: { subs: { [channel]: {} } } });
	return {
		"server-sent events": await slowStream(cluster, `/connection/sse?cf_connect=${encodeURIComponent(connect)}`, ""),
		"HTTP streaming": await slowStream(cluster, "/connection/http_stream", connect),
		Protobuf: await slowProtobuf(cluster, channel),
	};
}

const counts = ({ shards }: TestShards) => {
	const { row } = shards[0];
	const get = (name: Parameters<typeof row.get>[0]): number => row.get(name);
	return { clients: get("laneClients"), oldest: get("laneDropsOldest"), replaced: get("laneDropsReplaced"), gaps: get("laneGaps") };
};

describe("a client that reads too slowly", () => {
	it("drop-oldest: misses only the oldest, is not closed, and rejoins the topics once it has read", async () => {
		const cluster = await start();
		const publisher = new Publisher(cluster, "");
		const [fast, slow] = [await cluster.client(), await cluster.rawClient()];
		slow.socket.tcp.pause();
		while (counts(cluster).oldest === 0 && publisher.sent < 5000) await publisher.publish(5);
		await publisher.publish(5);
		await fast.waitForMessages(publisher.sent);
		expect(counts(cluster)).toMatchObject({ clients: 1, gaps: 0 });
		slow.socket.tcp.resume();
		await waitFor(() => counts(cluster).clients === 0, { deadlineMs: 10_000, what: "the client out of its lane" });
		const last = publisher.sent - 1;
		await waitFor(() => numbersOf(slow).includes(last), { deadlineMs: 5000, what: "the newest message" });
		await publisher.publish(5);
		await waitFor(() => numbersOf(slow).includes(last + 5), { deadlineMs: 5000, what: "messages after that" });
		const got = numbersOf(slow);
		expect(got).toEqual([...new Set(got)].sort((one, other) => one - other));
		// One gap, as large as was counted.
		expect(got.filter((number, index) => index > 0 && number !== got[index - 1] + 1)).toHaveLength(1);
		expect(publisher.sent - got.length).toBe(counts(cluster).oldest);
	});

	it("keep-latest: gets the newest of each key, in the order of the channel", async () => {
		const cluster = await start();
		const publisher = new Publisher(cluster, "latest:prices");
		const slow = await cluster.rawClient(0, "/?channels=latest:prices");
		slow.socket.tcp.pause();
		const symbol = (number: number) => ({ symbol: `s${number % 3}` });
		while (counts(cluster).replaced < 50 && publisher.sent < 5000) await publisher.publish(6, symbol);
		slow.socket.tcp.resume();
		await waitFor(() => numbersOf(slow).includes(publisher.sent - 1), { deadlineMs: 10_000, what: "the newest message" });
		const got = numbersOf(slow);
		expect(got).toEqual([...new Set(got)].sort((one, other) => one - other));
		expect(got.slice(-3)).toEqual([publisher.sent - 3, publisher.sent - 2, publisher.sent - 1]);
		expect(publisher.sent - got.length).toBe(counts(cluster).replaced);
		expect(counts(cluster)).toMatchObject({ oldest: 0, gaps: 0 });
	});

	it("with recovery: has no gap; its subscription ends with 2500 and is recovered", async () => {
		const cluster = await start();
		const publisher = new Publisher(cluster, "kept:a");
		const slow = await subscriber(cluster, "kept:a");
		slow.socket.tcp.pause();
		while (counts(cluster).gaps === 0 && publisher.sent < 5000) await publisher.publish(5);
		await publisher.publish(5);
		slow.socket.tcp.resume();
		await waitFor(() => slow.texts().at(-1)?.includes('"code":2500') === true, { deadlineMs: 10_000, what: "2500" });
		const got = numbersOf(slow);
		expect(got).toEqual(Array.from({ length: got.length }, (_, index) => index));
		const text = slow.texts().join("\n");
		const epoch = /"epoch":"([^"]+)"/.exec(text)![1];
		const recover = { channel: "kept:a", recoverable: true, recover: true, epoch, offset: got.length };
		slow.send(JSON.stringify({ id: 3, subscribe: recover }));
		await waitFor(() => numbersOf(slow).length === publisher.sent, { deadlineMs: 10_000, what: "what it had missed" });
		await publisher.publish(1);
		await waitFor(() => numbersOf(slow).length === publisher.sent, { deadlineMs: 5000, what: "the next publication" });
		expect(numbersOf(slow)).toEqual(Array.from({ length: publisher.sent }, (_, index) => index));
		expect(counts(cluster)).toMatchObject({ oldest: 0, replaced: 0, gaps: 1 });
	});
});

describe("clients of each transport that read too slowly", () => {
	const symbol = (number: number) => ({ symbol: `s${number % 3}` });
	it.each([
		["drop-oldest", "news", "oldest", 1],
		["keep-latest", "latest:prices", "replaced", 3],
	] as const)(
		"%s: each misses as much as is counted, none is closed, and all get what is new",
		{ tags: ["long"] },
		async (_, channel, count, newest) => {
			const cluster = await start();
			const publisher = new Publisher(cluster, channel);
			const readers = await slowReaders(cluster, channel);
			const all = Object.values(readers);
			while (counts(cluster).clients < all.length && publisher.sent < 5000) await publisher.publish(6, symbol);
			expect(counts(cluster).clients, "clients that read too slowly").toBe(all.length);
			// More than any lane holds.
			await publisher.publish((2 * maxBufferedBytes) / bytes, symbol);
			for (const reader of all) reader.resume();
			await waitFor(() => counts(cluster).clients === 0, { deadlineMs: 10_000, what: "all clients out of their lanes" });
			await publisher.publish(3, symbol);
			let missed = 0;
			for (const [name, reader] of Object.entries(readers)) {
				await waitFor(() => reader.numbers().includes(publisher.sent - 1), { deadlineMs: 5000, what: `${name}: the newest message` });
				const got = reader.numbers();
				expect(got, `${name}: in order, none twice`).toEqual([...new Set(got)].sort((one, other) => one - other));
				expect(got.length, `${name}: messages, of which it missed some`).toBeLessThan(publisher.sent);
				expect(got.slice(-3 - newest), `${name}: the newest of each key, and what came later`).toEqual(
					Array.from({ length: 3 + newest }, (_, index) => publisher.sent - 3 - newest + index),
				);
				missed += publisher.sent - got.length;
			}
			expect(counts(cluster)).toMatchObject({ oldest: 0, replaced: 0, [count]: missed, gaps: 0 });
			for (const reader of all) reader.leave();
		},
	);
});

describe("a long reply", () => {
	it("is sent in parts with nothing in between, and publications in the meantime follow it in order", async () => {
		const cluster = await start();
		const publisher = new Publisher(cluster, "strict:a");
		await publisher.publish(80);
		const client = await subscriber(cluster, "strict:a");
		client.socket.tcp.pause();
		// Replies of 0.8 MB, of which the kernel takes some.
		for (let id = 3; id < 20; id++) client.send(JSON.stringify({ id, history: { channel: "strict:a", limit: 80 } }));
		await waitFor(() => counts(cluster).clients === 1, { deadlineMs: 5000, what: "the client in a lane" });
		await publisher.publish(10);
		client.socket.tcp.resume();
		await waitFor(() => client.texts().some((text) => text.includes('"id":19')), { deadlineMs: 10_000, what: "all replies" });
		await publisher.publish(3);
		await waitFor(() => numbersOf(client).at(-1) === 92, { deadlineMs: 5000, what: "the last publication" });
		await waitFor(() => counts(cluster).clients === 0, { deadlineMs: 5000, what: "the client out of its lane" });
		const pushed = client.texts().flatMap((text) => text.split("\n").filter((line) => line.includes('"push"')));
		expect(pushed.flatMap((line) => [...line.matchAll(/(\d+):\.+/g)].map((match) => Number(match[1])))).toEqual(
			Array.from({ length: 13 }, (_, index) => 80 + index),
		);
		expect(client.socket.tcp.destroyed).toBe(false);
	});

	it("on a stream is sent in parts as well: it arrives whole, and publications in the meantime keep their order", async () => {
		const cluster = await start();
		const publisher = new Publisher(cluster, "strict:a");
		await publisher.publish(80);
		const { httpUrl } = cluster.shards[0];
		const connect = encodeURIComponent('{"id":1,"connect":{}}');
		const response = await fetch(`${httpUrl}/connection/sse?cf_connect=${connect}`);
		const reader = response.body!.getReader();
		let text = "";
		const parts: string[] = [];
		/** Looks at the whole only where a message may end: it is 13 MB. */
		const readUntil = async (isThere: () => boolean): Promise<void> => {
			do parts.push(Buffer.from((await reader.read()).value!).toString("latin1"));
			while (!parts.at(-1)!.endsWith("\n\n") || !isThere());
			text = parts.join("");
		};
		await readUntil(() => parts.join("").includes('"session"'));
		const { session, node } = (JSON.parse(/data: (.*)/.exec(text)![1]) as { connect: { session: string; node: string } }).connect;
		const history = Array.from({ length: 17 }, (_, at) => ({ id: at + 3, history: { channel: "strict:a", limit: 80 } }));
		const data = [{ id: 2, subscribe: { channel: "strict:a", recoverable: true } }, ...history]
			.map((each) => JSON.stringify(each))
			.join("\n");
		await fetch(`${httpUrl}/emulation`, { method: "POST", body: JSON.stringify({ session, node, data }) });
		await waitFor(() => counts(cluster).clients === 1, { deadlineMs: 5000, what: "the client in a lane" });
		await publisher.publish(10);
		// The next command is executed when the last reply has been read, so publications come between replies.
		await readUntil(() => parts.some((part) => part.includes('"id":19')) && parts.join("").includes(`${numbered(89)}"`));
		await reader.cancel();
		const messages = text
			.split("\n")
			.filter((line) => line.startsWith("data: {"))
			.map((line) => line.slice(6));
		const pushes = messages.filter((line) => line.startsWith('{"push"'));
		expect(pushes.map((line) => Number(/(\d+):\./.exec(line)![1]))).toEqual(Array.from({ length: 10 }, (_, at) => 80 + at));
		const replies = messages.filter((line) => line.includes('"history"')).map((line) => JSON.parse(line) as { id: number });
		expect(replies.map(({ id }) => id)).toEqual(history.map(({ id }) => id));
		expect(cluster.shards[0].row.get("laneEnteredLong")).toBeGreaterThan(0);
	});
});
