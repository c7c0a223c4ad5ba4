import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { proxyHeader, proxyHeaderBytesMax, readProxyHeader } from "../src/proxy/proxy-header.ts";

const read = (bytes: Buffer) => readProxyHeader(bytes, bytes.length);
const text = (line: string) => read(Buffer.from(line, "latin1"));
const complete = (bytes: number, address: string | null, token = "") => ({ status: "complete", bytes, address, token });
const signature = "0d0a0d0a000d0a515549540a";
/** A header of version 2; `rest` is all behind the length, in hex. */
const binary = (versionAndCommand: number, family: number, rest: string) => {
	const body = Buffer.from(rest.replaceAll(" ", ""), "hex");
	const length = Buffer.alloc(2);
	length.writeUInt16BE(body.length);
	return Buffer.concat([Buffer.from(signature, "hex"), Buffer.from([versionAndCommand, family]), length, body]);
};
const ipv4 = "c0000201 c6336402 dead 01bb";
const ipv6 = "20010db8000000000000000000000001 20010db8000000000000000000000002 dead 01bb";

describe("PROXY header, version 1", () => {
	it("has the client's address", () => {
		expect(text("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\nGET / HTTP/1.1\r\n")).toEqual(complete(45, "192.0.2.1"));
		expect(text("PROXY TCP6 2001:db8::1 2001:db8::2 0 65535\r\n")).toEqual(complete(44, "2001:db8::1"));
	});

	it("may not know it, whatever follows", () => {
		expect(text("PROXY UNKNOWN\r\nGET")).toEqual(complete(15, null));
		expect(text("PROXY UNKNOWN ff:: 1 2 3\r\n")).toEqual(complete(26, null));
		expect(text(`PROXY UNKNOWN ${"x".repeat(91)}\r\n`)).toEqual(complete(107, null));
	});

	it.each([
		["PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", "is for neither TCP4 nor TCP6"],
		["PROXY \r\n", "is for neither TCP4 nor TCP6"],
		["PROXY TCP4 2001:db8::1 1.2.3.4 1 2\r\n", "has no valid addresses"],
		["PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n", "has no valid addresses"],
		["PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n", "has no valid addresses"],
		["PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", "has no valid addresses"],
		["PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "has no valid ports"],
		["PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", "has no valid ports"],
		["PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", "has no valid ports"],
		["PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", "has no valid ports"],
		["PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n", "has no valid ports"],
		[`PROXY UNKNOWN ${"x".repeat(92)}\r\n`, "has no end within 107 bytes"],
		["PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n".padEnd(107, "x"), "has no end within 107 bytes"],
	])("%j is wrong", (line, problem) => expect(text(line)).toEqual({ status: "wrong", problem }));
});

describe("PROXY header, version 2", () => {
	it("has the client's address", () => {
		expect(read(binary(0x21, 0x11, ipv4))).toEqual(complete(28, "192.0.2.1"));
		expect(read(binary(0x21, 0x21, ipv6))).toEqual(complete(52, "2001:db8:0:0:0:0:0:1"));
	});

	it("may have more fields, and our balancer's token among them", () => {
		expect(read(binary(0x21, 0x11, `${ipv4} 01 0002 6832 04 0000`))).toEqual(complete(36, "192.0.2.1"));
		expect(read(binary(0x21, 0x11, `${ipv4} 02 0001 61 e0 0003 616263`))).toEqual(complete(38, "192.0.2.1", "abc"));
		const most = binary(
			0x21,
			0x11,
			`${ipv4} 04 ${(proxyHeaderBytesMax - 31).toString(16).padStart(4, "0")} ${"00".repeat(proxyHeaderBytesMax - 31)}`,
		);
		expect(read(most)).toEqual(complete(proxyHeaderBytesMax, "192.0.2.1"));
	});

	it("may be about no client: LOCAL, or an address that is none", () => {
		expect(read(binary(0x20, 0x00, ""))).toEqual(complete(16, null));
		expect(read(binary(0x20, 0x11, ipv4))).toEqual(complete(28, null));
		expect(read(binary(0x20, 0xff, "00"))).toEqual(complete(17, null));
		expect(read(binary(0x21, 0x00, "04 0000"))).toEqual(complete(19, null));
		expect(read(binary(0x21, 0x31, "00".repeat(216)))).toEqual(complete(232, null));
	});

	it.each([
		[binary(0x11, 0x11, ipv4), "has the version 1"],
		[binary(0x22, 0x11, ipv4), "has the unknown command 2"],
		[binary(0x21, 0x41, ipv4), "has the unknown address family 4"],
		[binary(0x21, 0x12, ipv4), "is not for TCP"],
		[binary(0x21, 0x20, ipv6), "is not for TCP"],
		[binary(0x21, 0x11, ipv4.slice(0, -2)), "is too short for its addresses"],
		[binary(0x21, 0x21, ipv4), "is too short for its addresses"],
		[binary(0x21, 0x31, ipv6), "is too short for its addresses"],
		[binary(0x21, 0x11, `${ipv4} 04`), "has a field that is longer than the header"],
		[binary(0x21, 0x11, `${ipv4} 04 0002 00`), "has a field that is longer than the header"],
		[Buffer.from(`${signature}2111ffff`, "hex"), "is longer than 4096 bytes"],
	])("wrong: %#", (bytes, problem) => expect(read(bytes)).toEqual({ status: "wrong", problem }));
});

it("anything else is missing, from the first byte that says so", () => {
	for (const line of [
		"G",
		"GET / HTTP/1.1\r\n",
		"PR0",
		"PROXY\tTCP4",
		"\r\n\r\nG",
		"\r\n\r\n\0\r\nQUIT\r",
		"\x16\x03\x01",
		"POST / HTTP/1.1",
	])
		expect(text(line), JSON.stringify(line)).toEqual({ status: "wrong", problem: "is missing" });
	expect(text("")).toEqual({ status: "incomplete" });
});

const header = fc.oneof(
	fc
		.tuple(fc.ipV4(), fc.ipV4(), fc.nat(65_535), fc.nat(65_535))
		.map(([from, to, one, other]) => Buffer.from(`PROXY TCP4 ${from} ${to} ${one} ${other}\r\n`)),
	fc
		.tuple(fc.ipV6(), fc.ipV6(), fc.nat(65_535), fc.nat(65_535))
		.map(([from, to, one, other]) => Buffer.from(`PROXY TCP6 ${from} ${to} ${one} ${other}\r\n`)),
	fc.string({ maxLength: 60 }).map((rest) => Buffer.from(`PROXY UNKNOWN ${rest.replaceAll(/[^ -~]/g, "")}\r\n`)),
	fc.constantFrom(
		binary(0x20, 0, ""),
		binary(0x21, 0x11, ipv4),
		binary(0x21, 0x21, `${ipv6} e0 0002 6162`),
		binary(0x21, 0x31, "00".repeat(216)),
	),
);

it("is found the same wherever it is split, and nothing behind it counts", () => {
	fc.assert(
		fc.property(header, fc.uint8Array({ maxLength: 40 }), (bytes, behind) => {
			const whole = read(Buffer.concat([bytes, behind]));
			expect(whole).toMatchObject({ status: "complete", bytes: bytes.length });
			const parts = Array.from(bytes, (_, length) => readProxyHeader(bytes, length));
			expect(parts).toEqual(parts.map(() => ({ status: "incomplete" })));
		}),
	);
});

it("bytes of any kind are never complete beyond what has come, and never throw", () => {
	const begun = fc.constantFrom("", signature, `${signature}21`, `${signature}2111`, Buffer.from("PROXY TCP4 ").toString("hex"));
	fc.assert(
		fc.property(begun, fc.uint8Array({ maxLength: 300 }), (start, rest) => {
			const bytes = Buffer.concat([Buffer.from(start, "hex"), rest]);
			const found = read(bytes);
			if (found.status === "complete") expect(found.bytes).toBeLessThanOrEqual(bytes.length);
		}),
	);
});

it("what is written can be read", () => {
	const source = Buffer.from("20010db8000000000000000000000007", "hex");
	expect(read(proxyHeader(source, ""))).toEqual(complete(52, "2001:db8:0:0:0:0:0:7"));
	expect(read(proxyHeader(source, "secret"))).toEqual(complete(61, "2001:db8:0:0:0:0:0:7", "secret"));
});
