import { describe, expect, it } from "vitest";
import { isLoopback, isLoopbackName, mayUseConsole, secretMatches } from "../src/access/access.ts";

describe("access", () => {
	it("knows this machine's own addresses in every spelling that a socket gives", () => {
		for (const address of [
			"127.0.0.1",
			"127.3.2.1",
			"::1",
			"::ffff:127.0.0.1",
			"0000:0000:0000:0000:0000:0000:0000:0001",
			"0000:0000:0000:0000:0000:ffff:7f00:0001",
		])
			expect(isLoopback(address), address).toBe(true);
		for (const address of [
			"10.0.0.1",
			"128.127.0.1",
			"::2",
			"fe80::1",
			"",
			"1270.0.0.1",
			"0000:0000:0000:0000:0000:ffff:0a00:0001",
			"127.evil.example",
			"::ffff:127.evil.example",
			"127.0.0.1.evil.example",
			"127.0.0.256",
		])
			expect(isLoopback(address), address).toBe(false);
	});

	it("takes a host name for this machine only if no name server has a say in it", () => {
		for (const name of ["localhost", "127.0.0.1", "127.255.0.9", "[::1]"]) expect(isLoopbackName(name), name).toBe(true);
		for (const name of [
			"127.evil.example",
			"127.0.0.1.evil.example",
			"127.0.0.256",
			"127.0.1",
			"127.0.0.01",
			"localhost.evil.example",
			"evil.localhost",
			"localhost.",
			"::1",
			"[::ffff:7f00:1]",
			"",
		])
			expect(isLoopbackName(name), name).toBe(false);
	});

	it("compares secrets of any two lengths", () => {
		expect(secretMatches("abcdefgh", "abcdefgh")).toBe(true);
		expect(secretMatches("abcdefg", "abcdefgh")).toBe(false);
		expect(secretMatches("", "abcdefgh")).toBe(false);
	});

	it("the console: with a token only the token counts, without one only the machine itself, and nobody where authentication is required", () => {
		const open = { token: undefined, authRequired: false };
		const guarded = { token: "correct horse", authRequired: true };
		expect(mayUseConsole("127.0.0.1", null, { token: undefined, authRequired: true })).toBe(false);
		expect(mayUseConsole("127.0.0.1", null, open)).toBe(true);
		expect(mayUseConsole("10.0.0.9", null, open)).toBe(false);
		expect(mayUseConsole("10.0.0.9", "correct horse", guarded)).toBe(true);
		expect(mayUseConsole("127.0.0.1", "wrong", guarded)).toBe(false);
		expect(mayUseConsole("127.0.0.1", null, guarded)).toBe(false);
	});
});
