import { connect } from "node:net";
import { allowedOrigins, json, refusal } from "@shardcast/http";
import { Scoreboard } from "@shardcast/scoreboard";
import { fuzzed, fuzzTimeoutMs, judgeRequests, type RequestStream, requestStreams, seed, smuggledTarget } from "@shardcast/testkit/fuzz";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Sockets } from "../../src/transports/websocket/sockets.ts";

// A shard reads requests by uWebSockets.js. What it takes for a request must be one for the parser of Node.js too, with the same body: else a
// request could hide in what a proxy in front takes for a body.

/** A shard's HTTP, which writes down the requests that reach a handler. */
class Shard {
	/** "POST /p?query body", in order. */
	readonly taken: string[] = [];
	readonly port: Promise<number>;
	readonly #sockets: Sockets;

	constructor() {
		const answer = (path: string) => ({
			kind: "answer" as const,
			method: "GET" as const,
			path,
			keepAlive: true,
			answer: ({ method, query }: { method: string; query: string }) => {
				this.taken.push(`${method} ${path}?${query} `);
				return json(200, {});
			},
		});
		this.#sockets = new Sockets({
			proxyProtocol: false,
			sessions: [],
			routes: [
				answer("/a"),
				answer(smuggledTarget),
				{
					kind: "body",
					method: "POST",
					path: "/p",
					keepAlive: true,
					bodyBytesMax: 100_000,
					begin:
						({ query }) =>
						(body) => {
							this.taken.push(`POST /p?${query} ${Buffer.from(body).toString("latin1")}`);
							return json(200, {});
						},
				},
			],
			rules: { allowedOrigins: allowedOrigins(["*"]) },
			handlers: {
				connections: () => {},
				socketsMax: () => Number.POSITIVE_INFINITY,
				overfull: () => refusal("shard_full"),
				forwardedAddress: () => null,
				failed: (callback, error) => {
					throw new Error(`${callback} failed`, { cause: error });
				},
			},
			counters: Scoreboard.inMemory(1).row(0),
		});
		this.port = this.#sockets.listen({ host: "127.0.0.1", port: 0 });
	}

	/** Sends the pieces, then the end of the connection, and waits for its end. */
	async exchange(pieces: readonly string[]): Promise<readonly string[]> {
		this.taken.length = 0;
		const port = await this.port;
		await new Promise<void>((resolve) => {
			const socket = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
			const write = (index: number): void => {
				if (socket.destroyed) return;
				if (index === pieces.length) socket.end();
				else socket.write(pieces[index]!, "latin1", () => setImmediate(() => write(index + 1)));
			};
			// A shard that refuses may close with bytes unread.
			socket.on("error", () => {});
			socket.on("end", () => socket.end());
			socket.on("close", () => resolve());
			socket.resume();
			write(0);
		});
		return [...this.taken];
	}

	close(): void {
		this.#sockets.close();
	}
}

/** The requests for the handlers above that Node's parser finds, and whether it has refused what follows. */
async function judge({ text }: RequestStream): Promise<{ readonly requests: readonly string[]; readonly isRefused: boolean }> {
	const { requests, isRefused } = await judgeRequests(Buffer.from(text, "latin1"));
	const known = requests.flatMap(({ method, target, body }) => {
		const [path, query = ""] = target.split("?");
		// Handlers of GET do not wait for a body.
		if ((method === "GET" || method === "HEAD") && (path === "/a" || path === smuggledTarget)) return [`${method} ${path}?${query} `];
		return method === "POST" && path === "/p" && body !== null ? [`POST /p?${query} ${body}`] : [];
	});
	return { requests: known, isRefused };
}

describe(`any requests of a client (seed ${seed})`, () => {
	let shard: Shard;
	beforeAll(() => {
		shard = new Shard();
	});
	afterAll(() => shard.close());

	it("are requests to Node's parser too, if a shard serves them", { timeout: fuzzTimeoutMs(1) }, async () => {
		let all = 0;
		let same = 0;
		await fc.assert(
			fc.asyncProperty(requestStreams({ targets: ["/p", "/p?x=1", "/a"] }), async (stream) => {
				const ours = await shard.exchange(stream.pieces);
				let theirs = await judge(stream);
				// uWebSockets.js does not wait for the empty line behind the last chunk.
				if (ours.length > theirs.requests.length && !theirs.isRefused) theirs = await judge({ ...stream, text: `${stream.text}\r\n` });
				all++;
				if (ours.length === theirs.requests.length) same++;
				// Node reads nothing behind these, nor does a proxy pass on anything behind them.
				if (/\r\nconnection:[^\r\n]*(?:close|upgrade)|HTTP\/1\.0|(?:CONNECT|PRI) /i.test(stream.text)) return;
				// A proxy passes on nothing from what it refuses on: what a shard alone would make of that is in the table below.
				const compared = theirs.isRefused ? ours.slice(0, theirs.requests.length) : ours;
				expect(compared, JSON.stringify(stream.text)).toEqual(theirs.requests.slice(0, ours.length));
			}),
			fuzzed(400, 1),
		);
		expect(same, "most are served").toBeGreaterThan(all / 3);
	});

	const next = "GET /a?next HTTP/1.1\r\nHost: a\r\n\r\n";
	const post = (lines: readonly string[], body: string) =>
		`${["POST /p HTTP/1.1", "Host: a", ...lines, "", ""].join("\r\n")}${body}${next}`;
	const chunked = ["Transfer-Encoding: chunked"];
	it("are served one after the other while their lengths are clear", async () => {
		expect(await shard.exchange([post(["Content-Length: 3"], "abc")])).toEqual(["POST /p? abc", "GET /a?next "]);
		expect(await shard.exchange([post([], "")])).toEqual(["POST /p? ", "GET /a?next "]);
	});

	it.each([
		["two different lengths", post(["Content-Length: 3", "Content-Length: 0"], "abc")],
		["twice the same length", post(["Content-Length: 3", "Content-Length: 3"], "abc")],
		["an empty length before one", post(["Content-Length:", "Content-Length: 3"], "abc")],
		["an empty length", post(["Content-Length:"], "")],
		["a length and chunks", post(["Content-Length: 5", ...chunked], "0\r\n\r\n")],
		["an empty length and chunks", post(["Content-Length:", ...chunked], "0\r\n\r\n")],
		["an empty coding and a length", post(["Transfer-Encoding:", "Content-Length: 3"], "abc")],
		["an empty coding before chunks", post(["Transfer-Encoding:", ...chunked], "0\r\n\r\n")],
		["two codings", post([...chunked, ...chunked], "0\r\n\r\n")],
		["another coding", post(["Transfer-Encoding: x"], "0\r\n\r\n")],
		["a list of codings", post(["Transfer-Encoding: gzip, chunked"], "0\r\n\r\n")],
	])("reach no handler with %s, nor does what follows", async (_, text) => {
		expect(await shard.exchange([text])).toEqual([]);
	});

	it.each([
		["that is right", "3\r\nabc\r\n0\r\n\r\n"],
		["with a chunk longer than its size", "2\r\nabcd0\r\n\r\n"],
		["with white space behind a size", "3 \r\nabc\r\n0\r\n\r\n"],
		["with a bare line feed behind a size", "3\nabc\r\n0\r\n\r\n"],
		["with a trailer", "3\r\nabc\r\n0\r\nX: a\r\n\r\n"],
	])("are not served behind a body in chunks %s", async (_, body) => {
		expect((await shard.exchange([post(chunked, body)])).filter((request) => !request.startsWith("POST"))).toEqual([]);
	});
});
