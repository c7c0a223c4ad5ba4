import { defaultConfig } from "@shardcast/config";
import { type Log, silentLog } from "@shardcast/telemetry";
import { describe, expect, it } from "vitest";
import { addressKey, addressKeyOf, formatAddressKey } from "../src/address-key.ts";
import { ConnectionRates } from "../src/connection-rates.ts";
import { LimitAudit } from "../src/limit-audit.ts";
import { RateTable } from "../src/rate-table.ts";
import { TokenBucket } from "../src/token-bucket.ts";

const bytes = (hex: string) => Buffer.from(hex, "hex");

describe("the key of an address", () => {
	it("is the IPv4 address, mapped into IPv6 or not, from bytes or from text", () => {
		const key = addressKeyOf("192.0.2.1");
		expect([
			addressKey(bytes("c0000201")),
			addressKey(bytes("00000000000000000000ffffc0000201")),
			addressKeyOf("::ffff:192.0.2.1"),
		]).toEqual([key, key, key]);
		expect(addressKeyOf("192.0.2.2")).not.toBe(key);
		expect(formatAddressKey(key)).toBe("192.0.2.1");
	});

	it("is the /64 of an IPv6 address", () => {
		const key = addressKeyOf("2001:db8:0:7::1");
		expect(addressKeyOf("2001:db8:0:7:ffff:1:2:3")).toBe(key);
		expect(addressKeyOf("2001:DB8:0:7::")).toBe(key);
		expect(addressKey(bytes("20010db800000007aaaabbbbccccdddd"))).toBe(key);
		expect(addressKeyOf("2001:db8:0:8::1")).not.toBe(key);
		expect(addressKeyOf("2001:db8:0:7:0:0:192.0.2.1")).toBe(key);
		expect(addressKeyOf("fe80::1%eth0")).toBe(addressKeyOf("fe80:0:0:0:5::"));
		expect(formatAddressKey(key)).toBe("2001:db8:0:7::/64");
	});

	it.each(["", "nonsense", "1:2:3", "::g", "1:2:3:4:5:6:7:8:9", "99999::"])("takes %j for no address in particular", (text) => {
		expect(addressKeyOf(text)).toBe(0n);
	});
	it("takes no bytes for no address in particular", () => expect(addressKey(new Uint8Array(0))).toBe(0n));
});

const word = (value: bigint) => BigInt.asUintN(64, value);

/** The 64-bit number that V8's hash of bigints (`ComputeLongHash`) takes to this one, of which it then uses the lower 30 bits. */
function addressWithHash(hash: bigint): bigint {
	const unshift = (value: bigint, bits: bigint) => {
		let result = value;
		for (let done = bits; done < 64n; done += bits) result = value ^ (result >> bits);
		return result;
	};
	const inverse = (odd: bigint) => {
		let result = odd;
		for (let step = 0; step < 6; step++) result = word(result * (2n - odd * result));
		return result;
	};
	let value = unshift(hash, 22n);
	value = unshift(word(value * inverse(65n)), 11n);
	value = unshift(word(value * inverse(21n)), 31n);
	return word((value + 1n) * inverse((1n << 18n) - 1n));
}

describe("a token bucket", () => {
	it("gives a second's worth at once, then so many per second, and no more than a second's worth after a long time", () => {
		const bucket = new TokenBucket(10, 0);
		const taken = (nowMs: number) => Array.from({ length: 30 }, () => bucket.take(10, nowMs)).filter(Boolean).length;
		expect([taken(0), taken(50), taken(100), taken(600), taken(3_600_000)]).toEqual([10, 0, 1, 5, 10]);
	});
});

describe("rates of new connections", () => {
	const rates = (all: number, perIp: number) =>
		new ConnectionRates(defaultConfig({ connectionRate: all, connectionRatePerIp: perIp }), RateTable.inMemory());
	const [one, other] = [addressKeyOf("192.0.2.1"), addressKeyOf("192.0.2.2")];
	const outcomes = (limits: ConnectionRates, address: bigint, nowMs: number, times: number) =>
		Array.from({ length: times }, () => limits.take(address, nowMs) ?? "in");

	it("are off by default, and then nobody asks", () => {
		expect(new ConnectionRates(defaultConfig(), RateTable.inMemory()).isOff).toBe(true);
		expect(rates(1, 0).isOff).toBe(false);
		expect(rates(0, 1).isOff).toBe(false);
	});

	it("hold for all together", () => {
		const limits = rates(3, 0);
		expect([...outcomes(limits, one, 0, 2), ...outcomes(limits, other, 0, 2)]).toEqual(["in", "in", "in", "connection_rate"]);
		expect(outcomes(limits, one, 334, 2)).toEqual(["in", "connection_rate"]);
	});

	it("hold for each address, and what one asks for beyond its share is not taken from the others", () => {
		const limits = rates(4, 2);
		expect(outcomes(limits, one, 0, 10).filter((outcome) => outcome === "in")).toHaveLength(2);
		expect(outcomes(limits, one, 0, 1)).toEqual(["connection_rate_per_ip"]);
		expect(outcomes(limits, other, 0, 3)).toEqual(["in", "in", "connection_rate_per_ip"]);
	});

	it("addresses chosen to share a bucket of V8's hash table cost no more than others", () => {
		const cpuUs = (addresses: readonly bigint[]): number => {
			const limits = rates(0, 1);
			for (const address of addresses) limits.take(address, 0);
			const before = process.cpuUsage();
			for (const address of addresses) limits.take(address, 0);
			const { user, system } = process.cpuUsage(before);
			return user + system;
		};
		const numbers = Array.from({ length: 8000 }, (_, index) => BigInt(index) << 14n);
		const spread = cpuUs(numbers.map((number) => number * 7919n));
		// Keyed by bigint it is some hundred times as much.
		expect(cpuUs(numbers.map(addressWithHash))).toBeLessThan(5 * spread + 20_000);
	});

	it("can be changed and switched off", () => {
		const limits = rates(1, 0);
		expect(outcomes(limits, one, 0, 2)).toEqual(["in", "connection_rate"]);
		limits.change(defaultConfig({ connectionRate: 100 }));
		expect(outcomes(limits, one, 1000, 101).filter((outcome) => outcome === "in")).toHaveLength(100);
		limits.change(defaultConfig());
		expect(limits.isOff).toBe(true);
	});

	it("tell without taking", () => {
		const limits = rates(3, 1);
		expect([limits.check(one, 0), limits.check(one, 0), limits.take(one, 0), limits.check(one, 0)]).toEqual([
			null,
			null,
			null,
			"connection_rate_per_ip",
		]);
		for (const address of [other, addressKeyOf("192.0.2.3")]) limits.take(address, 0);
		expect(limits.check(addressKeyOf("192.0.2.4"), 0)).toBe("connection_rate");
		expect(rates(0, 0).check(one, 0)).toBe(null);
	});
});

describe("audit lines of limits", () => {
	it("one when a limit begins to bite, then one per limit in ten seconds that says how many more", () => {
		const clock = { ms: 0 };
		const lines: string[] = [];
		const log = Object.assign(silentLog(), { warn: (_fields: object, text: string) => void lines.push(text) }) as Log;
		const audit = new LimitAudit(log, () => clock.ms);
		for (let count = 0; count < 500; count++) audit.refused("connection_rate_per_ip", addressKeyOf("192.0.2.1"));
		audit.refused("connections_per_ip", addressKeyOf("2001:db8::1"));
		clock.ms = 10_000;
		audit.refused("connection_rate_per_ip", addressKeyOf("192.0.2.7"));
		expect(lines).toEqual([
			"--connection-rate-per-ip is reached: refused a connection from 192.0.2.1",
			"--max-connections-per-ip is reached: refused a connection from 2001:db8:0:0::/64",
			"--connection-rate-per-ip is reached: refused a connection from 192.0.2.7, and 499 more since the line before",
		]);
	});
});
