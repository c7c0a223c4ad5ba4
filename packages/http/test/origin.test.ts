import { describe, expect, it } from "vitest";
import { allowedOrigins, hostName, isSameOrigin, originAllowed } from "../src/access/origin.ts";

const none = allowedOrigins([]);

describe("which pages may use the server", () => {
	it.each([
		["no page at all: a program", "", "h:3005"],
		["no page and no Host", "", ""],
		["its own page", "http://h:3005", "h:3005"],
		["whatever the case", "HTTP://Trade.Example:3005", "trade.EXAMPLE:3005"],
		["the default port, written or not", "http://h", "h:80"],
		["the default port, written or not", "http://h:80", "h"],
		["behind a proxy that ends TLS", "https://trade.example", "trade.example"],
		["behind a proxy that ends TLS and names the port", "https://trade.example", "trade.example:443"],
		["an IPv6 address", "http://[2001:db8::1]:3005", "[2001:db8::1]:3005"],
		["an IPv6 address with the default port", "http://[2001:db8::1]", "[2001:db8::1]"],
		["this machine, on another port", "http://localhost:5173", "localhost:3005"],
		["this machine, under another of its names", "http://localhost:5173", "127.0.0.1:3005"],
		["this machine, under another of its names", "https://127.1.2.3", "[::1]:3005"],
	])("%s: %s for %s", (_what, origin, host) => {
		expect(originAllowed(origin, host, none)).toBe(true);
	});

	it.each([
		["another site", "https://evil.example", "h:3005"],
		["another port", "http://h:8080", "h:3005"],
		["another port, by default", "http://h", "h:3005"],
		["the port of another scheme", "https://h", "h:80"],
		["a name that goes on", "http://h.evil.example:3005", "h:3005"],
		["a name that ends the same", "http://evilh:3005", "h:3005"],
		["a file or a sandboxed frame", "null", "h:3005"],
		["a file or a sandboxed frame, for this machine", "null", "localhost:3005"],
		["another scheme", "capacitor://localhost", "localhost:3005"],
		["another scheme", "chrome-extension://abc", "abc"],
		["no Host", "http://h", ""],
		["a Host that is none", "http://h", "h/"],
		["a Host that is none", "http://h", "x@h"],
		["two Hosts in one", "http://h", "h, h"],
		["two origins in one", "http://h, http://h", "h"],
		["an origin with a path", "http://h/x", "h"],
		["an origin with a user", "http://h@evil.example", "h"],
		["a name that looks like this machine", "http://127.evil.example:3005", "localhost:3005"],
		["a name that looks like this machine", "http://localhost:3005", "127.evil.example:3005"],
		["a name that looks like this machine", "http://127.0.0.1.evil.example", "127.0.0.1"],
		["a name that looks like this machine", "http://localhost.evil.example", "localhost"],
		["an address beyond this machine's", "http://127.0.0.256", "127.0.0.1"],
		["this machine, for a page elsewhere", "http://evil.example", "127.0.0.1:3005"],
	])("not %s: %s for %s", (_what, origin, host) => {
		expect(originAllowed(origin, host, none)).toBe(false);
	});

	it("those that are listed; null and * too", () => {
		const listed = allowedOrigins(["https://ours.example", "http://other.example:8080", "capacitor://localhost"]);
		for (const origin of ["https://ours.example", "HTTPS://OURS.example", "http://other.example:8080", "capacitor://localhost"])
			expect(originAllowed(origin, "h", listed), origin).toBe(true);
		for (const origin of ["http://ours.example", "https://ours.example.evil", "https://ours.example:8443", "null", "*"])
			expect(originAllowed(origin, "h", listed), origin).toBe(false);
		expect(originAllowed("http://h", "h", listed), "its own page, which is not listed").toBe(true);
		expect(originAllowed("null", "h", allowedOrigins(["null"]))).toBe(true);
		for (const origin of ["null", "https://evil.example", "capacitor://localhost"])
			expect(originAllowed(origin, "", allowedOrigins(["*"])), origin).toBe(true);
	});

	it("an own page is one of the very same name and port", () => {
		expect(isSameOrigin("http://localhost:3005", "localhost:3005")).toBe(true);
		expect(isSameOrigin("https://trade.example", "trade.example")).toBe(true);
		for (const [origin, host] of [
			["http://localhost:5173", "localhost:3005"],
			["http://localhost:3005", "127.0.0.1:3005"],
			["", "localhost"],
			["null", "localhost"],
		] as const)
			expect(isSameOrigin(origin, host), `${origin} for ${host}`).toBe(false);
	});

	it("takes no time over headers that are made to take some", () => {
		const long = 65_536;
		const beganMs = performance.now();
		for (const part of ["/", ":", "h", ":80", "http://", "[", "a:"]) {
			const header = `http://${part.repeat(long / part.length)}x`;
			expect(originAllowed(header, header, allowedOrigins(["https://a.example"]))).toBe(false);
			expect(originAllowed("http://h", part.repeat(long / part.length), none)).toBe(false);
		}
		expect(performance.now() - beganMs).toBeLessThan(500);
	});

	it("finds the name in a Host header", () => {
		expect([hostName("LocalHost:3005"), hostName("[::1]:80"), hostName("h"), hostName(""), hostName("a b"), hostName("h:x")]).toEqual([
			"localhost",
			"[::1]",
			"h",
			null,
			null,
			null,
		]);
	});
});
