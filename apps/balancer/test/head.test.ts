import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HeadParser, HeadStatus } from "../src/head.ts";

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
		isUpgrade: parser.isUpgrade,
	};
}

const upgrade = [
	"GET /ws?channels=a,b HTTP/1.1",
	"Host: example.com",
	"Connection: keep-alive, Upgrade",
	"Upgrade: WebSocket",
	"Origin:  https://example.com\t",
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
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
			isUpgrade: true,
		});
	});

	it("ends at the blank line and leaves the body alone", () => {
		const head = "POST /api/publish HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n";
		expect(parse(`${head}{}`)).toMatchObject({ status: HeadStatus.complete, bytes: head.length, isUpgrade: false, origin: null });
	});

	it("asks both Connection and Upgrade before it takes a request for a WebSocket", () => {
		const head = (...lines: string[]) => parse(["GET / HTTP/1.1", "Host: a", ...lines, "", ""].join("\r\n"));
		expect(head("Connection: Upgrade")).toMatchObject({ isUpgrade: false });
		expect(head("Upgrade: websocket")).toMatchObject({ isUpgrade: false });
		expect(head("Upgrade: h2c", "Connection: Upgrade")).toMatchObject({ isUpgrade: false });
		expect(head("Upgrade: websockets", "Connection: Upgrade")).toMatchObject({ isUpgrade: false });
		expect(head("Upgrade: h2c, websocket", "Connection: upgrade")).toMatchObject({ isUpgrade: true });
	});

	it.each([
		["a TLS hello", "\x16", 1],
		["a binary protocol", "\x00\x01", 1],
		["a line feed before the request", "\nGET", 1],
		["HTTP/2's preface", "PRI * HTTP/2", 12],
		["an endless first word", "A".repeat(40), 33],
		["an SSH banner", "SSH-2.0-OpenSSH_9.2\r\n", 20],
		["HTTP/0.9", "GET /\r\n", 6],
		["two spaces", "GET  / HTTP/1.1\r\n", 5],
		["a target with a control character", "GET /\x7f", 6],
		["a target beyond ASCII", "GET /\xe4", 6],
		["a version that does not exist", "GET / HTTP/1.2", 14],
		["a bare line feed", "GET / HTTP/1.1\n", 15],
		["a bare carriage return", "GET / HTTP/1.1\rH", 16],
		["a folded line", "GET / HTTP/1.1\r\nHost: a\r\n b", 26],
		["a space before the colon", "GET / HTTP/1.1\r\nHost : a", 21],
		["a header without a name", "GET / HTTP/1.1\r\n: a", 17],
		["a header without a colon", "GET / HTTP/1.1\r\nHost\r\n", 21],
		["a null in a value", "GET / HTTP/1.1\r\nHost: a\0", 24],
		["two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r", 33],
		["two Origins", "GET / HTTP/1.1\r\nOrigin: a\r\nOrigin: a\r", 37],
		["no Host", "GET / HTTP/1.1\r\nAccept: */*\r\n\r\n", 31],
	])("refuses %s, at the first byte that shows it", (_, text, bytes) => {
		expect(parse(text)).toMatchObject({ status: HeadStatus.malformed, problem: expect.stringMatching(/\w/) });
		expect(parse(text.slice(0, bytes))).toMatchObject({ status: HeadStatus.malformed });
		expect(parse(text.slice(0, bytes - 1))).toMatchObject({ status: HeadStatus.incomplete, problem: "" });
	});

	it("lets HTTP/1.0 go without a Host", () => {
		expect(parse("GET / HTTP/1.0\r\n\r\n")).toMatchObject({ status: HeadStatus.complete, minorVersion: 0 });
	});

	it("finds the same at every split point", () => {
		const whole = parse(upgrade);
		for (let first = 0; first <= upgrade.length; first++) {
			expect(parse(upgrade, [first])).toEqual(whole);
			if (first < upgrade.length) expect(parse(upgrade.slice(0, first)).status).toBe(HeadStatus.incomplete);
		}
	});

	it("finds the same byte by byte as in one piece, whatever the bytes", () => {
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
			{ numRuns: 2000 },
		);
	});

	it("takes as complete exactly what the grammar allows", () => {
		// The grammar spelt once more as a regular expression, which is slow and needs the whole text.
		const grammar = /^[\w!#$%&'*+.^`|~-]{1,32} [!-~]+ HTTP\/1\.[01]\r\n(?:[\w!#$%&'*+.^`|~-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n/;
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
			{ numRuns: 5000 },
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
