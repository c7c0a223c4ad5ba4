import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HeadParser, HeadStatus } from "../src/head/head.ts";
import { proxyHead } from "../src/pass/proxy-head.ts";

function forwarded(head: string, peer = "10.0.0.9", client = peer, to: "shard" | "machine" = "shard"): string {
	const bytes = Buffer.from(head, "latin1");
	const parser = new HeadParser();
	expect(parser.parse(bytes, bytes.length)).toBe(HeadStatus.complete);
	return proxyHead(bytes, parser, { peer, client, token: to === "shard" ? "token" : null, isLastHop: to === "machine" }).toString("latin1");
}

describe("head for a proxied connection", () => {
	it("adds the client's address and the token, and leaves the rest as it is", () => {
		expect(forwarded("GET /a?b HTTP/1.1\r\nHost: x\r\nX-Odd:  kept \t\r\n\r\n")).toBe(
			"GET /a?b HTTP/1.1\r\nHost: x\r\nX-Odd:  kept \t\r\nX-Forwarded-For: 10.0.0.9\r\nX-Real-IP: 10.0.0.9\r\nX-Shardcast-Proxy: token\r\n\r\n",
		);
	});

	it("to another machine: without the token, and with a mark, which stays on its way through an edge", () => {
		const passed = forwarded("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "10.0.0.9", "10.0.0.9", "machine");
		expect(passed).toBe("GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.0.0.9\r\nx-shardcast-passed-on: 1\r\n\r\n");
		expect(forwarded(passed)).toContain("\r\nx-shardcast-passed-on: 1\r\n");
	});

	it("tells the client's address as a trusted proxy has told it, and the proxy's own as the last one", () => {
		const lines = forwarded("GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 7.7.7.7\r\n\r\n", "::ffff:10.0.0.9", "7.7.7.7").split("\r\n");
		expect(lines).toContain("X-Forwarded-For: 7.7.7.7, 10.0.0.9");
		expect(lines).toContain("X-Real-IP: 7.7.7.7");
	});

	it("appends to the headers of other proxies, and removes the balancer's own headers if a client sent them", () => {
		const head = [
			"GET / HTTP/1.1",
			"x-forwarded-for: 1.1.1.1",
			"Host: x",
			"X-REAL-IP: 6.6.6.6",
			"X-Forwarded-For:2.2.2.2, 3.3.3.3 ",
			"X-Forwarded-For:",
			"x-shardcast-proxy: guessed",
			"",
			"",
		];
		expect(forwarded(head.join("\r\n")).split("\r\n")).toEqual([
			"GET / HTTP/1.1",
			"Host: x",
			"X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 10.0.0.9",
			"X-Real-IP: 10.0.0.9",
			"X-Shardcast-Proxy: token",
			"",
			"",
		]);
	});

	it.each([
		["::ffff:10.1.2.3", "10.1.2.3"],
		["2001:db8::1", "2001:db8::1"],
		["::ffff:0:0", "0.0.0.0"],
	])("writes the address %s as %s", (address, written) => {
		expect(forwarded("GET / HTTP/1.0\r\n\r\n", address)).toContain(`\r\nX-Real-IP: ${written}\r\n`);
	});

	it("passes on every line that is not its own, byte for byte and in order, and ends in a valid head", () => {
		const name = fc.oneof(
			fc.stringMatching(/^[\w-]{1,12}$/),
			fc.constantFrom("X-Real-IP", "x-forwarded-for", "X-Shardcast-Proxy", "X-Real-IPs"),
		);
		const line = fc.tuple(name, fc.stringMatching(/^[\t -~\x80-\xff]{0,20}$/)).map(([n, value]) => `${n}:${value}`);
		const isOwn = (text: string) => /^(x-real-ip|x-forwarded-for|x-shardcast-proxy):/i.test(text);
		fc.assert(
			fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
				const others = lines.filter((text) => !/^(host|origin|upgrade|connection):/i.test(text));
				const head = forwarded(["GET / HTTP/1.1", "Host: x", ...others, "", ""].join("\r\n"));
				const parser = new HeadParser();
				expect(parser.parse(Buffer.from(head, "latin1"), head.length)).toBe(HeadStatus.complete);
				expect(parser.bytes).toBe(head.length);
				expect(head.split("\r\n").filter((text) => !isOwn(text))).toEqual([
					"GET / HTTP/1.1",
					"Host: x",
					...others.filter((text) => !isOwn(text)),
					"",
					"",
				]);
				expect(head.split("\r\n").filter((text) => /^(x-real-ip|x-shardcast-proxy):/i.test(text))).toHaveLength(2);
			}),
		);
	});
});
