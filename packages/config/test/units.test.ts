import { formatCpuList, parseCpuList } from "@shardcast/process";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseAddress, urlHost } from "../src/units/address.ts";
import { addressBytes } from "../src/units/address-bytes.ts";
import { formatBytes, parseBytes } from "../src/units/bytes.ts";
import { formatDuration, parseDuration } from "../src/units/duration.ts";
import { networkText, parseNetwork } from "../src/units/network.ts";

describe("durations", () => {
	it.each([
		["250ms", 250],
		["30s", 30_000],
		["2m", 120_000],
		["1.5h", 5_400_000],
		[" 10 s ", 10_000],
		["0", 0],
	])("%s is %d ms", (text, ms) => expect(parseDuration(text)).toBe(ms));

	it.each([
		["30", "has no unit; write 30s or 30ms"],
		["30S", 'has the unknown unit "S"; use ms, s, m or h'],
		["-1s", "is not a duration; write 250ms, 30s or 2m"],
		["", "is not a duration; write 250ms, 30s or 2m"],
		["1s2", "is not a duration; write 250ms, 30s or 2m"],
		["5constructor", 'has the unknown unit "constructor"; use ms, s, m or h'],
		["5toString", 'has the unknown unit "toString"; use ms, s, m or h'],
	])("%j is refused", (text, message) => expect(() => parseDuration(text)).toThrow(message));

	it("are read back as they were written", () => {
		fc.assert(fc.property(fc.nat(), (ms) => parseDuration(formatDuration(ms)) === ms));
	});
});

describe("durations as Go writes them", () => {
	it.each([
		["1h30m", 5_400_000],
		["24h0m0s", 86_400_000],
		["1.5h0.5s", 5_400_500],
		["1m250ms", 60_250],
	])("%s is %d ms", (text, ms) => expect(parseDuration(text)).toBe(ms));

	it.each(["1h30", "1h 30m", "h30m", "1d12h", "1hh", "-1h30m"])("%s is refused", (text) =>
		expect(() => parseDuration(text)).toThrow(RangeError),
	);
});

describe("sizes", () => {
	it.each([
		["64KiB", 65_536],
		["1MiB", 1_048_576],
		["1.5kib", 1536],
		["2GiB", 2 ** 31],
		["500kB", 500_000],
		["7B", 7],
		["4096", 4096],
	])("%s is %d bytes", (text, bytes) => expect(parseBytes(text)).toBe(bytes));

	it.each([
		["64K", 'has the unknown unit "K"; use B, KiB, MiB, GiB, kB, MB or GB'],
		["1.3KiB", "is not a whole number of bytes"],
		["many", "is not a size; write 64KiB, 1MiB or a number of bytes"],
		["99999999GiB", "is not a whole number of bytes"],
	])("%s is refused", (text, message) => expect(() => parseBytes(text)).toThrow(message));

	it("are read back as they were written", () => {
		fc.assert(fc.property(fc.maxSafeNat(), (bytes) => parseBytes(formatBytes(bytes)) === bytes));
	});
});

describe("addresses", () => {
	it.each([
		[":3005", { port: 3005 }],
		["0.0.0.0:80", { host: "0.0.0.0", port: 80 }],
		["[::1]:80", { host: "::1", port: 80 }],
		["localhost:0", { host: "localhost", port: 0 }],
	])("%s is read", (text, address) => expect(parseAddress(text)).toEqual(address));

	it.each([
		["3005", "is not an address; write :3005, 127.0.0.1:3005 or [::1]:3005"],
		["::1:80", "is not an address"],
		[":70000", "has the port 70000; ports end at 65535"],
		["[127.0.0.1]:80", "has no IPv6 address between its brackets"],
		["300.1.2.3:80", 'has the host "300.1.2.3", which is no IPv4 address'],
		["host:80:90", "is not an address"],
	])("%s is refused", (text, message) => expect(() => parseAddress(text)).toThrow(message));

	it("the example has the option's own port", () => {
		expect(() => parseAddress("foo", 9002)).toThrow("is not an address; write :9002, 127.0.0.1:9002 or [::1]:9002");
	});

	it.each([
		[":3005", "127.0.0.1:3005"],
		["0.0.0.0:3005", "127.0.0.1:3005"],
		["[::]:3005", "127.0.0.1:3005"],
		["[::1]:3005", "[::1]:3005"],
		["10.1.2.3:3005", "10.1.2.3:3005"],
	])("%s is reached at %s", (text, host) => expect(urlHost(parseAddress(text))).toBe(host));
});

describe("CPU lists", () => {
	it.each([
		["0", [0]],
		["0-3,8", [0, 1, 2, 3, 8]],
		["8, 2,2-3", [2, 3, 8]],
		["", []],
		["0-1\n", [0, 1]],
	])("%j is read", (text, cpus) => expect(parseCpuList(text)).toEqual(cpus));

	it.each([
		["3-1", "has the range 3-1, which runs backwards"],
		["0-4000000000", "names CPU 4000000000; the highest possible is 4095"],
		["a", "is not a list of CPUs; write 0,1 or 0-3"],
		["1-", "is not a list of CPUs; write 0,1 or 0-3"],
	])("%s is refused", (text, message) => expect(() => parseCpuList(text)).toThrow(message));

	it("are read back as they were written", () => {
		const cpus = fc.uniqueArray(fc.nat(4095)).map((list) => list.sort((a, b) => a - b));
		fc.assert(
			fc.property(cpus, (list) => {
				expect(parseCpuList(formatCpuList(list))).toEqual(list);
			}),
		);
	});
});

describe("networks", () => {
	it.each([
		["10.0.0.0/8", { family: "ipv4", address: "10.0.0.0", prefix: 8 }, "10.0.0.0/8"],
		["192.0.2.7", { family: "ipv4", address: "192.0.2.7", prefix: 32 }, "192.0.2.7"],
		["0.0.0.0/0", { family: "ipv4", address: "0.0.0.0", prefix: 0 }, "0.0.0.0/0"],
		["2001:DB8::/32", { family: "ipv6", address: "2001:db8::", prefix: 32 }, "2001:db8::/32"],
		["::1", { family: "ipv6", address: "::1", prefix: 128 }, "::1"],
		["::ffff:10.0.0.0/104", { family: "ipv4", address: "10.0.0.0", prefix: 8 }, "10.0.0.0/8"],
		["::ffff:192.0.2.7", { family: "ipv4", address: "192.0.2.7", prefix: 32 }, "192.0.2.7"],
	])("%s", (text, network, written) => {
		expect(parseNetwork(text)).toEqual(network);
		expect(networkText(text)).toBe(written);
	});

	it.each([
		["", "is not a network or an address"],
		["10.0.0/8", "is not a network or an address"],
		["proxy.example", "is not a network or an address"],
		["fe80::1%eth0", "is not a network or an address"],
		["10.0.0.0/", "is not a network or an address"],
		["10.0.0.0/33", "has the prefix length 33 in 10.0.0.0/33; IPv4 has at most 32"],
		["::/129", "has the prefix length 129 in ::/129; IPv6 has at most 128"],
	])("%j is none", (text, problem) => expect(() => parseNetwork(text)).toThrow(problem));
});

describe("the bytes of an address", () => {
	it.each([
		["192.0.2.1", "00000000000000000000ffffc0000201"],
		["::ffff:192.0.2.1", "00000000000000000000ffffc0000201"],
		["2001:db8::1", "20010db8000000000000000000000001"],
		["2001:DB8:0:7::", "20010db8000000070000000000000000"],
		["1:2:3:4:5:6:7:8", "00010002000300040005000600070008"],
		["64:ff9b::192.0.2.1", "0064ff9b0000000000000000c0000201"],
		["fe80::1%eth0", "fe800000000000000000000000000001"],
		["::", "00000000000000000000000000000000"],
		["nonsense", "00000000000000000000000000000000"],
	])("of %s", (text, hex) => expect(Buffer.from(addressBytes(text)).toString("hex")).toBe(hex));
});
