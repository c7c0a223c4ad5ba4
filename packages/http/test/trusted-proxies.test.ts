import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { plainAddress, TrustedProxies } from "../src/proxy/trusted-proxies.ts";

const proxies = new TrustedProxies(["10.0.0.0/8", "192.0.2.7", "2001:db8:1::/48", "::1"]);
const client = (peer: string, forwardedFor: string): string => proxies.client(peer, () => forwardedFor);

describe("trusted proxies", () => {
	it("are known by their networks, IPv4 and IPv6, mapped or not", () => {
		for (const address of [
			"10.255.0.1",
			"::ffff:10.1.2.3",
			"0000:0000:0000:0000:0000:ffff:0a01:0203",
			"192.0.2.7",
			"2001:db8:1:f::9",
			"::1",
		])
			expect(proxies.has(address), address).toBe(true);
		for (const address of [
			"11.0.0.1",
			"192.0.2.8",
			"::ffff:11.0.0.1",
			"2001:db8:2::1",
			"",
			"unknown",
			"10.0.0.1.evil.example",
			"fe80::1%eth0",
		])
			expect(proxies.has(address), address).toBe(false);
		expect(new TrustedProxies(["::ffff:10.0.0.0/104"]).has("10.9.9.9")).toBe(true);
		expect(new TrustedProxies([]).has("127.0.0.1")).toBe(false);
	});

	it("say what the client's address is; anybody else does not", () => {
		expect(client("10.0.0.1", "203.0.113.5")).toBe("203.0.113.5");
		expect(client("::ffff:10.0.0.1", " 203.0.113.5 ")).toBe("203.0.113.5");
		expect(client("198.51.100.1", "203.0.113.5")).toBe("198.51.100.1");
		expect(client("10.0.0.1", "2001:DB8:9::1")).toBe("2001:DB8:9::1");
	});

	it("of several, each is believed about the one before it, and nothing that the client wrote counts", () => {
		expect(client("10.0.0.1", "1.1.1.1, 203.0.113.5, 10.0.0.2")).toBe("203.0.113.5");
		expect(client("10.0.0.1", "10.6.6.6, 203.0.113.5")).toBe("203.0.113.5");
		expect(client("10.0.0.1", "127.0.0.1,203.0.113.5,192.0.2.7,2001:db8:1::4")).toBe("203.0.113.5");
		// A proxy itself, such as its health check.
		expect(client("10.0.0.1", "10.0.0.3, 10.0.0.2")).toBe("10.0.0.3");
	});

	it("that say nothing usable are as far as the way back is known", () => {
		for (const forwardedFor of [
			"",
			",",
			"unknown",
			"_hidden",
			"1.1.1.1, unknown",
			"203.0.113.5,",
			"999.1.1.1",
			"1.2.3",
			`${"1".repeat(70)}`,
			"fe80::1%eth0",
			"[1.2.3.4",
			"<script>",
		])
			expect(client("10.0.0.1", forwardedFor), forwardedFor).toBe("10.0.0.1");
		expect(client("10.0.0.1", "unknown, 10.0.0.9")).toBe("10.0.0.9");
	});

	it("may write the port and brackets", () => {
		expect(client("10.0.0.1", "203.0.113.5:4711")).toBe("203.0.113.5");
		expect(client("10.0.0.1", "[2001:db8:9::1]:4711")).toBe("2001:db8:9::1");
		expect(client("10.0.0.1", "[2001:db8:9::1]")).toBe("2001:db8:9::1");
		expect(client("10.0.0.1", "::ffff:203.0.113.5")).toBe("203.0.113.5");
	});

	it("whatever a client puts before it, the address that the first trusted proxy saw is found", () => {
		const spoofed = fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()), { maxLength: 5 });
		const seen = fc.ipV4().filter((address) => !proxies.has(address));
		const inside = fc.array(fc.constantFrom("10.0.0.2", "192.0.2.7", "2001:db8:1::4", "::ffff:10.3.3.3"), { maxLength: 3 });
		fc.assert(
			fc.property(spoofed, seen, inside, (lies, address, hops) => {
				expect(client("10.0.0.1", [...lies, address, ...hops].join(","))).toBe(address);
			}),
		);
	});
});

it("an address that is mapped into IPv6 is plain IPv4", () => {
	expect(plainAddress("::ffff:1.2.3.4")).toBe("1.2.3.4");
	expect(plainAddress("0000:0000:0000:0000:0000:ffff:7f00:0001")).toBe("127.0.0.1");
	expect(plainAddress("0:0:0:0:0:ffff:fffe:102")).toBe("255.254.1.2");
	expect(plainAddress("2001:db8::1")).toBe("2001:db8::1");
});
