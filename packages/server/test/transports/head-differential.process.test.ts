import { connect } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HeadParser, HeadStatus } from "../../../relay/src/head/head.ts";
import { PassedRequests } from "../../../relay/src/pass/passed-requests.ts";
import { proxyHead } from "../../../relay/src/pass/proxy-head.ts";
import { judgeUpgrade } from "../../src/transports/upgrade-request.ts";
import { upgradeHead } from "../../src/transports/websocket/sockets-heads.ts";
import { App, type HttpRequest, us_listen_socket_close, us_socket_local_port } from "../../src/transports/websocket/sockets-native.ts";

// The balancer judges a connection by its first head, a shard upgrades by what uWebSockets.js makes of it. Where the two disagree, a
// WebSocket can come in as something else. So both get the same heads, the library really running.

/** What a request is: to the balancer's parser, or to uWebSockets.js and the shard's own judgement. */
interface Seen {
	readonly outcome: "upgrade" | "plain" | "refused";
	readonly method: string;
	readonly target: string;
	readonly headers: readonly (readonly [string, string])[];
}

let app: ReturnType<typeof App>;
let port = 0;
let close = (): void => {};

/** An answer tells what the library has understood. */
function describeRequest(request: HttpRequest, outcome: Seen["outcome"]): string {
	const headers: [string, string][] = [];
	request.forEach((name, value) => {
		headers.push([name, value]);
	});
	const query = request.getQuery();
	const target = query === undefined ? request.getUrl() : `${request.getUrl()}?${query}`;
	return JSON.stringify({ outcome, method: request.getCaseSensitiveMethod(), target, headers } satisfies Seen);
}

beforeAll(() => {
	app = App();
	app.ws("/*", {
		upgrade: (response, request) => {
			const judged = judgeUpgrade(upgradeHead(request), { allowedOrigins: new Set(["*"]), draining: false });
			response.end(describeRequest(request, judged === null ? "upgrade" : judged.status === 426 ? "plain" : "refused"));
		},
	});
	app.any("/*", (response, request) => {
		const seen = describeRequest(request, "plain");
		response.onAborted(() => {});
		response.onData((_, isLast) => {
			if (isLast) response.end(seen);
		});
	});
	app.listen("127.0.0.1", 0, (socket) => {
		if (socket === false) throw new Error("it does not listen");
		port = us_socket_local_port(socket as never);
		close = () => us_listen_socket_close(socket);
	});
});
afterAll(() => {
	close();
	app.close();
});

/** What the library answers to these pieces: so many requests, or the library's status, or nothing within the time. */
function ask(pieces: readonly string[], answers = 1, deadlineMs = 5000): Promise<readonly (Seen | number)[]> {
	return new Promise((resolve) => {
		const socket = connect({ port, host: "127.0.0.1", noDelay: true });
		let text = "";
		const done = () => {
			clearTimeout(timer);
			socket.destroy();
			resolve(read(text));
		};
		const timer = setTimeout(done, deadlineMs);
		socket.on("error", done).on("close", done);
		socket.on("data", (bytes) => {
			text += bytes.toString("latin1");
			if (read(text).length >= answers) done();
		});
		const write = (index: number) => {
			if (index < pieces.length) socket.write(pieces[index], "latin1", () => setImmediate(() => write(index + 1)));
		};
		write(0);
	});
}

/** The answers that are there in full. */
function read(text: string): (Seen | number)[] {
	const answers: (Seen | number)[] = [];
	for (const [, status, head, body] of text.matchAll(/HTTP\/1\.1 (\d{3}) ([\s\S]*?)\r\n\r\n(?:(\{.*?\})(?=HTTP|$))?/g)) {
		if (status === "200" && body !== undefined) answers.push(JSON.parse(Buffer.from(body, "latin1").toString()) as Seen);
		else if (status !== "200" && head !== "Continue") answers.push(Number(status));
	}
	return answers;
}

/** What the balancer understands of the first head; null when it wants more. */
function parse(text: string): (Omit<Seen, "headers"> & { readonly head: HeadParser }) | null {
	const bytes = Buffer.from(text, "latin1");
	const head = new HeadParser();
	const status = head.parse(bytes, bytes.length);
	if (status === HeadStatus.incomplete) return null;
	if (status !== HeadStatus.complete || head.minorVersion === 0) return { outcome: "refused", method: "", target: "", head };
	return {
		outcome: head.isUpgrade ? "upgrade" : "plain",
		method: bytes.toString("latin1", 0, head.methodEnd),
		target: bytes.toString("latin1", head.targetStart, head.targetEnd),
		head,
	};
}

const valuesOf = (seen: Seen, name: string) => seen.headers.filter(([key]) => key === name).map(([, value]) => value);

/** That both understand the same by a head which the balancer lets pass. */
function expectAgreement(text: string, seen: Seen | number | undefined): void {
	const ours = parse(text)!;
	const bytes = Buffer.from(text, "latin1");
	if (typeof seen !== "object") throw new Error(`the balancer lets pass what the library answers by ${seen}: ${JSON.stringify(text)}`);
	expect({ outcome: seen.outcome, method: seen.method, target: seen.target }, JSON.stringify(text)).toEqual({
		outcome: ours.outcome,
		method: ours.method,
		target: ours.target,
	});
	const { originStart, originEnd, contentLength, isChunked } = ours.head;
	expect(valuesOf(seen, "origin")).toEqual(originStart < 0 ? [] : [bytes.toString("latin1", originStart, originEnd)]);
	expect(valuesOf(seen, "content-length").map(Number)).toEqual(contentLength < 0 ? [] : [contentLength]);
	expect(valuesOf(seen, "transfer-encoding").map((value) => value.toLowerCase())).toEqual(isChunked ? ["chunked"] : []);
}

const get = (...lines: string[]) => ["GET /a?b=1 HTTP/1.1", "Host: a", ...lines, "", ""].join("\r\n");
const post = (lines: readonly string[], body: string) => `${["POST /p HTTP/1.1", "Host: a", ...lines, "", ""].join("\r\n")}${body}`;
const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const version = "Sec-WebSocket-Version: 13";
const wish = ["Upgrade: websocket", "Connection: Upgrade"];
const upgrade = get(...wish, key, version);

/** A head; what it is to the balancer; and to the library where that differs: the library's status, or silence. */
type Row = readonly [name: string, head: string, balancer: Seen["outcome"], library?: Seen["outcome"] | number | "silent"];
const rows: readonly Row[] = [
	["an upgrade", upgrade, "upgrade"],
	[
		"in other cases",
		get("UPGRADE: WebSocket", "connection: UPGRADE", key.toUpperCase().replace("SEC-WEBSOCKET-KEY", "sec-websocket-KEY"), version),
		"upgrade",
	],
	["without Connection", get(wish[0], key, version), "plain"],
	["without Upgrade", get(wish[1], key, version), "plain"],
	["with neither", get(key, version), "plain"],
	["without a key", get(...wish, version), "plain"],
	["with a key that is too short", get(...wish, key.slice(0, -1), version), "plain"],
	["with a key that is too long", get(...wish, `${key}=`, version), "plain"],
	["with a short key before the right one", get(...wish, "Sec-WebSocket-Key: a", key, version), "plain"],
	["with a right key before a short one", get(...wish, key, "Sec-WebSocket-Key: a", version), "upgrade"],
	["without a version", get(...wish, key), "plain"],
	["with another version first", get(...wish, key, "Sec-WebSocket-Version: 8", version), "plain"],
	["with Connection: close", get(wish[0], "Connection: close", key, version), "plain"],
	["with Connection: keep-alive", get(wish[0], "Connection: keep-alive", key, version), "plain"],
	["with an empty Connection", get(wish[0], "Connection:", key, version), "plain"],
	["with a list in Connection", get(wish[0], "Connection: keep-alive , Upgrade", key, version), "upgrade"],
	["with words in Connection", get(wish[0], "Connection: keep-alive Upgrade", key, version), "plain"],
	["with two Connections", get(wish[0], "Connection: keep-alive", wish[1], key, version), "upgrade"],
	["with two Upgrades", get("Upgrade: h2c", ...wish, key, version), "upgrade"],
	["with a list in Upgrade", get("Upgrade: h2c,websocket", wish[1], key, version), "upgrade"],
	["with another word in Upgrade", get("Upgrade: websocket/13", wish[1], key, version), "plain"],
	["with blanks around all values", get("Upgrade: \t websocket\t ", "Connection:Upgrade  ", `${key}\t`, `${version} `), "upgrade"],
	["with a vertical tab behind the word", get("Upgrade: websocket\x0b", wish[1], key, version), "refused", "silent"],
	["with a length of nothing", get(...wish, key, version, "Content-Length: 0"), "upgrade"],
	["with a body", `${get(...wish, key, version, "Content-Length: 3")}abc`, "refused", "refused"],
	["with a body in chunks", `${get(...wish, key, version, "Transfer-Encoding: chunked")}0\r\n\r\n`, "refused", "refused"],
	["by POST", upgrade.replace("GET", "POST"), "plain"],
	["in lower case", upgrade.replace("GET", "get"), "plain"],
	["by HTTP/1.0", upgrade.replace("HTTP/1.1", "HTTP/1.0"), "refused", 505],
	["by HTTP/1.2", upgrade.replace("HTTP/1.1", "HTTP/1.2"), "refused", 505],
	["with a folded Upgrade", get("Upgrade:", " websocket", wish[1], key, version), "refused", "silent"],
	["with a target that has a scheme", upgrade.replace("/a?b=1", "ws://a/a"), "refused", 505],
	["with a target that has a fragment", upgrade.replace("/a?b=1", "/a#b?c"), "upgrade"],
	["with a target beyond ASCII", upgrade.replace("/a?b=1", "/\xe4"), "refused", "upgrade"],
	["with a target that is a star", upgrade.replace("/a?b=1", "*"), "refused", 505],
	["with a bare line feed at the end of a line", upgrade.replace("Host: a\r\n", "Host: a\n"), "refused", "silent"],
	["with line feeds only", upgrade.replaceAll("\r\n", "\n"), "refused", 505],
	["with a bare carriage return", upgrade.replace("Host: a\r\n", "Host: a\r"), "refused", "silent"],
	["with a NUL in a value", get(...wish, key, version, "X: a\0b"), "refused", "silent"],
	["with a NUL in a name", get(...wish, key, version, "X\0: b"), "refused", "silent"],
	["with DEL in a value", get(...wish, key, version, "X: a\x7fb"), "refused", "upgrade"],
	["with bytes beyond ASCII in a value", get(...wish, key, version, "X: a\xe4b"), "upgrade"],
	["with a space before a colon", get("Upgrade : websocket", wish[1], key, version), "refused", "silent"],
	["with a line that has no name", get(": a", ...wish, key, version), "refused", "plain"],
	["with a line that has no colon", get("a", ...wish, key, version), "refused", "silent"],
	["with an empty line before it", `\r\n${upgrade}`, "refused", "silent"],
	["with two spaces before the target", upgrade.replace(" /", "  /"), "refused", 505],
	["without a Host", upgrade.replace("Host: a\r\n", ""), "refused", 400],
	["with two Hosts", get("Host: b", ...wish, key, version), "refused", "upgrade"],
	["with two Origins", get("Origin: a", "Origin: b", ...wish, key, version), "refused", "upgrade"],
	["with an Origin", get("Origin: \thttps://a.example ", ...wish, key, version), "upgrade"],
	["with as many lines as may be", get(...wish, key, version, ...Array.from({ length: 90 }, (_, index) => `X-${index}: a`)), "upgrade"],
	["with a line more", get(...wish, key, version, ...Array.from({ length: 91 }, (_, index) => `X-${index}: a`)), "refused", "upgrade"],
	["with far too many lines", get(...wish, key, version, ...Array.from({ length: 120 }, (_, index) => `X-${index}: a`)), "refused", 431],
	["with a long head", get(...wish, key, version, `Cookie: ${"c".repeat(8000)}`), "upgrade"],
	["a request", get("Accept: */*"), "plain"],
	["a body of some length", post(["Content-Length: 3"], "abc"), "plain"],
	["a length with zeros before it", post(["Content-Length: 0003"], "abc"), "plain"],
	["a body in chunks", post(["Transfer-Encoding: chunked"], "3\r\nabc\r\n0\r\n\r\n"), "plain"],
	["a body in Chunks", post(["transfer-encoding:\tChunked "], "3\r\nabc\r\n0\r\n\r\n"), "plain"],
	["chunks and a length", post(["Content-Length: 3", "Transfer-Encoding: chunked"], "0\r\n\r\n"), "refused", 400],
	["two lengths", post(["Content-Length: 3", "Content-Length: 2"], "abc"), "refused", "plain"],
	["a list of lengths", post(["Content-Length: 3, 3"], "abc"), "refused", 400],
	["a length that is none", post(["Content-Length: 0x3"], "abc"), "refused", 400],
	["an empty length", post(["Content-Length:"], ""), "refused", "plain"],
	["another coding", post(["Transfer-Encoding: gzip, chunked"], "3\r\nabc\r\n0\r\n\r\n"), "refused", "plain"],
	["the identity as a coding", post(["Transfer-Encoding: identity"], "0\r\n\r\n"), "refused", "plain"],
	["a method of 32 letters", get().replace("GET", "A".repeat(32)), "plain"],
];

describe("the balancer's parser and uWebSockets.js", () => {
	it.each(rows.map(([name, text, balancer, library = balancer]) => ({ name, text, balancer, library })))(
		"$name",
		async ({ text, balancer, library }) => {
			expect(parse(text)?.outcome).toBe(balancer);
			const [seen] = await ask([text], 1, library === "silent" ? 150 : 5000);
			const outcome = typeof seen === "object" ? seen.outcome : (seen ?? "silent");
			expect(outcome).toBe(library);
			if (balancer !== "refused") expectAgreement(text, seen);
		},
	);

	it("agree for a head that is split at any byte", async () => {
		const text = get("Origin: https://a.example", ...wish, key, version);
		const cuts = Array.from({ length: text.length - 1 }, (_, index) => index + 1);
		for (const cut of cuts) expect(parse(text.slice(0, cut))).toBe(null);
		const answers = await Promise.all(cuts.map((cut) => ask([text.slice(0, cut), text.slice(cut)])));
		for (const [seen] of answers) expectAgreement(text, seen);
	});

	it("agree on each request of a connection: the second may be an upgrade as well as the first", async () => {
		const requests = [post(["Content-Length: 3"], "abc"), post(["Transfer-Encoding: chunked"], "3\r\nabc\r\n0\r\n\r\n"), get(), upgrade];
		const seen = await ask([requests.join("")], 4);
		expect(seen.map((answer) => (answer as Seen).outcome)).toEqual(["plain", "plain", "plain", "upgrade"]);
		const isUpgrade: boolean[] = [];
		const passed = new PassedRequests({
			headBytesMax: 16_384,
			rewrite: (bytes, head) => {
				isUpgrade.push(head.isUpgrade);
				return bytes.subarray(0, head.bytes);
			},
			judge: () => null,
			write: () => {},
			onPassed: () => {},
			onRefused: (refusal) => expect.fail(refusal.message),
		});
		const bytes = Buffer.from(requests.join(""), "latin1");
		const head = new HeadParser();
		head.parse(bytes, bytes.length);
		passed.begin(bytes, head);
		for (const _ of requests) passed.answered();
		expect(isUpgrade).toEqual([false, false, false, true]);
	});

	it("agree on what the balancer writes for the proxy, with each of its headers once", async () => {
		const forged = ["x-real-ip: 6.6.6.6", "X-Shardcast-Proxy: guess", "X-FORWARDED-FOR: 7.7.7.7", "X-Real-IP:8.8.8.8"];
		for (const text of [get(...forged, ...wish, key, version), get(...wish, ...forged, key, version, ...forged), get(...forged)]) {
			const bytes = Buffer.from(text, "latin1");
			const { head, outcome } = parse(text)!;
			const [seen] = (await ask([
				proxyHead(bytes, head, { peer: "10.0.0.9", client: "10.0.0.9", token: "token", isLastHop: false }).toString("latin1"),
			])) as Seen[];
			expect(seen.outcome).toBe(outcome);
			expect(valuesOf(seen, "x-real-ip")).toEqual(["10.0.0.9"]);
			expect(valuesOf(seen, "x-shardcast-proxy")).toEqual(["token"]);
			expect(valuesOf(seen, "x-forwarded-for")).toEqual([expect.stringMatching(/, 10\.0\.0\.9$/)]);
		}
	});

	it("agree on any head that the balancer accepts", async () => {
		const blanks = fc.constantFrom("", " ", "\t", " \t ");
		const line = fc
			.tuple(
				fc.constantFrom(
					"Upgrade",
					"upgrade",
					"Connection",
					"CONNECTION",
					"Sec-WebSocket-Key",
					"Sec-WebSocket-Version",
					"Origin",
					"Content-Length",
					"X-A",
				),
				blanks,
				fc.constantFrom(
					"websocket",
					"WebSocket",
					"h2c",
					"Upgrade",
					"keep-alive",
					"close",
					"13",
					"8",
					"0",
					"dGhlIHNhbXBsZSBub25jZQ==",
					"",
					"a:b",
				),
				fc.constantFrom("", ",", ", upgrade", ",websocket", " upgrade"),
				blanks,
			)
			.map(([name, before, value, more, after]) => `${name}:${before}${value}${more}${after}`);
		const request = fc
			.tuple(
				fc.constantFrom("GET", "GET", "GET", "POST", "get", "PATCH"),
				fc.constantFrom("/", "/a?b", "//"),
				fc.array(line, { maxLength: 4 }),
				fc.shuffledSubarray([...wish, key, version]),
			)
			.map(
				([method, target, lines, right]) =>
					`${method} ${target} HTTP/1.1\r\nHost: a\r\n${[...right, ...lines].map((text) => `${text}\r\n`).join("")}\r\n`,
			)
			.filter((text) => parse(text)?.outcome !== "refused");
		await fc.assert(
			fc.asyncProperty(fc.array(request, { minLength: 10, maxLength: 10 }), async (texts) => {
				const bodies = texts.map((text) => "x".repeat(Math.max(0, parse(text)!.head.contentLength)));
				const answers = await Promise.all(texts.map((text, index) => ask([text + bodies[index]])));
				texts.forEach((text, index) => {
					expectAgreement(text, answers[index][0]);
				});
			}),
			{ numRuns: 40 },
		);
	});
});
