import { stressed } from "@shardcast/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HeadParser, HeadStatus } from "../src/head/head.ts";

/** Everything that a parse finds out, as plain data. */
function parse(text: string | Buffer, splits: readonly number[] = []) {
	const bytes = typeof text === "string" ? Buffer.from(text, "latin1") : text;
	const parser = new HeadParser();
	for (const split of splits) parser.parse(bytes, Math.min(split, bytes.length));
	const status = parser.parse(bytes, bytes.length);
	return describeHead(parser, bytes, status);
}

function describeHead(parser: HeadParser, bytes: Buffer, status: HeadStatus) {
	if (status !== HeadStatus.complete) return { status, problem: parser.problem };
	return {
		status,
		bytes: parser.bytes,
		method: bytes.toString("latin1", 0, parser.methodEnd),
		target: bytes.toString("latin1", parser.targetStart, parser.targetEnd),
		minorVersion: parser.minorVersion,
		origin: parser.originStart < 0 ? null : bytes.toString("latin1", parser.originStart, parser.originEnd),
		host: parser.hostStart < 0 ? null : bytes.toString("latin1", parser.hostStart, parser.hostEnd),
		isUpgrade: parser.isUpgrade,
		isLasting: parser.isLasting,
		contentLength: parser.contentLength,
		isChunked: parser.isChunked,
	};
}

const upgrade = [
	"GET /ws?channels=a,b HTTP/1.1",
	"Host: example.com",
	"Connection: keep-alive, Upgrade",
	"Upgrade: WebSocket",
	"Origin:  https://example.com\t",
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	"Sec-WebSocket-Version: 13",
	"",
	"",
].join("\r\n");

describe("request head", () => {
	it("reads a WebSocket upgrade", () => {
		expect(parse(upgrade)).toEqual({
			status: HeadStatus.complete,
			bytes: upgrade.length,
			method: "GET",
			target: "/ws?channels=a,b",
			minorVersion: 1,
			origin: "https://example.com",
			host: "example.com",
			isUpgrade: true,
			isLasting: true,
			contentLength: -1,
			isChunked: false,
		});
	});

	it("ends at the blank line and leaves the body alone", () => {
		const head = "POST /api/publish HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n";
		expect(parse(`${head}{}`)).toMatchObject({ status: HeadStatus.complete, bytes: head.length, isUpgrade: false, origin: null });
	});

	it("recognises as a WebSocket request exactly what a shard upgrades", () => {
		const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
		const version = "Sec-WebSocket-Version: 13";
		const isUpgrade = (...lines: string[]) => parse(["GET / HTTP/1.1", "Host: a", ...lines, "", ""].join("\r\n")).isUpgrade;
		expect(isUpgrade("Connection: Upgrade", "Upgrade: websocket", key, version)).toBe(true);
		expect(isUpgrade("Connection: keep-alive,\tupgrade ", "UPGRADE: h2c , WebSocket", version, key)).toBe(true);
		expect(isUpgrade("Connection: close", "Connection: Upgrade", "Upgrade: websocket", key, version)).toBe(true);
		expect(isUpgrade("Connection: Upgrade", key, version)).toBe(false);
		expect(isUpgrade("Upgrade: websocket", key, version)).toBe(false);
		expect(isUpgrade("Connection: keep alive upgrade", "Upgrade: websocket", key, version)).toBe(false);
		for (const upgrade of ["h2c", "websockets", "web socket", "websocket/13", ""])
			expect(isUpgrade(`Upgrade: ${upgrade}`, "Connection: Upgrade", key, version), upgrade).toBe(false);
		expect(isUpgrade("Connection: Upgrade", "Upgrade: websocket", version)).toBe(false);
		expect(isUpgrade("Connection: Upgrade", "Upgrade: websocket", `${key}=`, version)).toBe(false);
		expect(isUpgrade("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: short", key, version)).toBe(false);
		expect(isUpgrade("Connection: Upgrade", "Upgrade: websocket", key)).toBe(false);
		expect(isUpgrade("Connection: Upgrade", "Upgrade: websocket", key, "Sec-WebSocket-Version: 8", version)).toBe(false);
		expect(parse(upgrade.replace("GET", "POST"))).toMatchObject({ isUpgrade: false });
		expect(parse(upgrade.replace("GET", "get"))).toMatchObject({ isUpgrade: false });
	});

	it.each([
		["GET /connection/sse?cf_connect=x", true],
		["POST /connection/sse", true],
		["POST /connection/http_stream", true],
		["GET /connection/uni_sse", true],
		["POST /connection/uni_http_stream?", true],
		["OPTIONS /connection/http_stream", false],
		["HEAD /connection/sse", false],
		["GET /connection/sse2", false],
		["GET /connection/ss", false],
		["GET /connection/", false],
		["GET /?a=/connection/sse", false],
		["POST /emulation", false],
	])("%s is a connection that stays: %s", (request, isLasting) => {
		expect(parse(`${request} HTTP/1.1\r\nHost: a\r\n\r\n`)).toMatchObject({ isUpgrade: false, isLasting });
	});

	it("reads the length of the body", () => {
		const head = (...lines: string[]) => parse(["POST / HTTP/1.1", "Host: a", ...lines, "", ""].join("\r\n"));
		expect(head()).toMatchObject({ contentLength: -1, isChunked: false });
		expect(head("content-length: 0042 ")).toMatchObject({ contentLength: 42, isChunked: false });
		expect(head("Transfer-Encoding: Chunked")).toMatchObject({ contentLength: -1, isChunked: true });
	});

	it("has at most 95 lines", () => {
		const head = (lines: number) => parse(`GET / HTTP/1.1\r\nHost: a\r\n${"X: a\r\n".repeat(lines - 1)}\r\n`);
		expect(head(95).status).toBe(HeadStatus.complete);
		expect(head(96)).toMatchObject({ status: HeadStatus.tooLong, problem: "" });
	});

	it.each([
		["a TLS hello", "\x16", 1],
		["a binary protocol", "\x00\x01", 1],
		["a line feed before the request", "\nGET", 1],
		["HTTP/2's preface", "PRI * HTTP/2", 5],
		["an endless first word", "A".repeat(40), 33],
		["an SSH banner", "SSH-2.0-OpenSSH_9.2\r\n", 20],
		["HTTP/0.9", "GET /\r\n", 6],
		["two spaces", "GET  / HTTP/1.1\r\n", 5],
		["a target with a control character", "GET /\x7f", 6],
		["a target beyond ASCII", "GET /\xe4", 6],
		["CONNECT, at the space behind it", "CONNECT a:80 HTTP/1.1", 8],
		["a target with a scheme", "GET http://a/ HTTP/1.1", 5],
		["a target that is a star", "OPTIONS * HTTP/1.1", 9],
		["a version that does not exist", "GET / HTTP/1.2", 14],
		["a bare line feed", "GET / HTTP/1.1\n", 15],
		["a bare carriage return", "GET / HTTP/1.1\rH", 16],
		["a folded line", "GET / HTTP/1.1\r\nHost: a\r\n b", 26],
		["a space before the colon", "GET / HTTP/1.1\r\nHost : a", 21],
		["a header without a name", "GET / HTTP/1.1\r\n: a", 17],
		["a header without a colon", "GET / HTTP/1.1\r\nHost\r\n", 21],
		["a null in a value", "GET / HTTP/1.1\r\nHost: a\0", 24],
		["a control character in a value", "GET / HTTP/1.1\r\nHost: a\x01", 24],
		["a delete in a value", "GET / HTTP/1.1\r\nHost: a\x7f", 24],
		["a control character in a name", "GET / HTTP/1.1\r\nHo\x01", 19],
		["a name beyond ASCII", "GET / HTTP/1.1\r\nHo\xe4", 19],
		["two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r", 33],
		["two Origins", "GET / HTTP/1.1\r\nOrigin: a\r\nOrigin: a\r", 37],
		["two lengths", "POST / HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 1\r", 54],
		["a negative length", "POST / HTTP/1.1\r\nContent-Length: -1\r", 36],
		["a length with a plus", "POST / HTTP/1.1\r\nContent-Length: +1\r", 36],
		["a list of lengths", "POST / HTTP/1.1\r\nContent-Length: 1, 1\r", 38],
		["an empty length", "POST / HTTP/1.1\r\nContent-Length: \r", 34],
		["a length beyond all bounds", "POST / HTTP/1.1\r\nContent-Length: 1000000000000000\r", 50],
		["a coding other than chunks", "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r", 50],
		["two codings", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r", 72],
		["chunks and a length", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r", 63],
		["a length and chunks", "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r", 63],
		["an upgrade with a body", upgrade.replace("Host", "Content-Length: 1\r\nHost"), upgrade.length + 19],
		["no Host", "GET / HTTP/1.1\r\nAccept: */*\r\n\r\n", 31],
	])("refuses %s, at the first byte that shows it", (_, text, bytes) => {
		expect(parse(text)).toMatchObject({ status: HeadStatus.malformed, problem: expect.stringMatching(/\w/) });
		expect(parse(text.slice(0, bytes))).toMatchObject({ status: HeadStatus.malformed });
		expect(parse(text.slice(0, bytes - 1))).toMatchObject({ status: HeadStatus.incomplete, problem: "" });
	});

	it("accepts HTTP/1.0 without a Host", () => {
		expect(parse("GET / HTTP/1.0\r\n\r\n")).toMatchObject({ status: HeadStatus.complete, minorVersion: 0 });
	});

	it("finds the same at every split point", () => {
		const whole = parse(upgrade);
		for (let first = 0; first <= upgrade.length; first++) {
			expect(parse(upgrade, [first])).toEqual(whole);
			if (first < upgrade.length) expect(parse(upgrade.slice(0, first)).status).toBe(HeadStatus.incomplete);
		}
	});

	it("has the same result byte by byte as in one piece, whatever the bytes", { tags: ["long"] }, () => {
		const token = fc.stringMatching(/^[\w!#$%&'*+.^`|~-]{1,12}$/);
		const line = fc.tuple(fc.oneof(token, fc.constantFrom("Host", "Origin", "Upgrade", "Connection")), fc.stringMatching(/^[ -~]{0,30}$/));
		const head = fc
			.tuple(
				token,
				fc.stringMatching(/^\/[!-~]{0,20}$/),
				fc.constantFrom("HTTP/1.1", "HTTP/1.0", "HTTP/3.0"),
				fc.array(line, { maxLength: 6 }),
			)
			.map(
				([method, target, version, lines]) =>
					`${method} ${target} ${version}\r\n${lines.map(([n, v]) => `${n}: ${v}\r\n`).join("")}\r\nbody`,
			);
		// A valid head with one byte replaced is what reaches the depths of the grammar.
		const damaged = fc.tuple(head, fc.nat(), fc.integer({ min: 0, max: 255 })).map(([text, at, byte]) => {
			const index = at % text.length;
			return text.slice(0, index) + String.fromCharCode(byte) + text.slice(index + 1);
		});
		const anything = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
		fc.assert(
			fc.property(fc.oneof(head, damaged, anything), (text) => {
				const everySplit = Array.from({ length: text.length }, (_, at) => at);
				expect(parse(text, everySplit)).toEqual(parse(text));
			}),
			{ numRuns: stressed(2000) },
		);
	});

	it("accepts exactly what the grammar allows", () => {
		// The grammar spelt once more as a regular expression, which is slow and needs the whole text.
		const grammar = /^[\w!#$%&'*+.^`|~-]{1,32} \/[!-~]* HTTP\/1\.[01]\r\n(?:[\w!#$%&'*+.^`|~-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n/;
		const piece = fc.constantFrom(
			"GET",
			" ",
			"/",
			"HTTP/1.1",
			"\r\n",
			"\r",
			"\n",
			"Host",
			":",
			"a",
			"\t",
			"\r\n\r\n",
			"Origin",
			"\0",
			"\x80",
		);
		fc.assert(
			fc.property(fc.array(piece, { maxLength: 24 }), (pieces) => {
				const text = pieces[0] === "GET" ? `GET / HTTP/1.1\r\nHost: a\r\n${pieces.slice(1).join("")}` : pieces.join("");
				const result = parse(text);
				const match = grammar.exec(text);
				if (result.status === HeadStatus.complete) expect(result.bytes).toBe(match?.[0].length);
				else if (match !== null) expect(result.problem).toMatch(/Host|Origin/);
			}),
			{ numRuns: stressed(5000) },
		);
	});

	it("starts afresh after a reset", () => {
		const parser = new HeadParser();
		const bytes = Buffer.from(upgrade, "latin1");
		parser.parse(Buffer.from("\0"), 1);
		parser.reset();
		const status = parser.parse(bytes, bytes.length);
		expect(describeHead(parser, bytes, status)).toEqual(parse(upgrade));
	});
});
