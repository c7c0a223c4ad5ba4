import { describe, expect, it } from "vitest";
import { type Announcement, isSignedBy, parseAnnouncement, signatureOf, signedText } from "../../src/discovery/announcement.ts";

const plain = { shardcast: "backend", version: 1, port: 9001 };
const bytes = (text: string) => new TextEncoder().encode(text);
const parse = (value: unknown) => parseAnnouncement(bytes(typeof value === "string" ? value : JSON.stringify(value)));
const signed = {
	...plain,
	host: "10.0.0.7",
	name: "camera-1",
	time: 1_700_000_000_000,
	nonce: "0123456789abcdef",
	leaving: false,
};

describe("an announcement", () => {
	it("needs only a port", () => {
		expect(parse(plain)).toEqual({
			...{ host: null, hostText: "", port: 9001, name: "", timeMs: 0, nonce: "", isLeaving: false, signature: "" },
		});
	});

	it("is signed over its values, one per line: by Python's hmac the same", () => {
		const announcement = parse(signed) as Announcement;
		expect(signedText(announcement)).toBe("shardcast backend 1\n10.0.0.7\n9001\ncamera-1\n1700000000000\n0123456789abcdef\nfalse");
		expect(signatureOf(announcement, "secret")).toBe("f94ea583c9794dc8af7cc8f634e84053e105d48a8201c4310df8ea68df4f21df");
	});

	it.each(["host", "port", "name", "time", "nonce", "leaving"] as const)("is not signed any more after a change of its %s", (field) => {
		const signature = signatureOf(parse(signed) as Announcement, "secret");
		expect(isSignedBy(parse({ ...signed, signature }) as Announcement, "secret")).toBe(true);
		const others = { host: "10.0.0.8", port: 9002, name: "camera-2", time: 1_700_000_000_001, nonce: "0123456789abcdeg", leaving: true };
		expect(isSignedBy(parse({ ...signed, [field]: others[field], signature }) as Announcement, "secret")).toBe(false);
		expect(isSignedBy(parse({ ...signed, signature }) as Announcement, "Secret")).toBe(false);
	});

	it("without a host is not one with an address: the host is signed as written", () => {
		const { host, ...without } = signed;
		const signature = signatureOf(parse(without) as Announcement, "secret");
		expect(isSignedBy(parse({ ...without, signature }) as Announcement, "secret")).toBe(true);
		expect(isSignedBy(parse({ ...without, host, signature }) as Announcement, "secret")).toBe(false);
	});

	it.each([
		["nothing", ""],
		["no JSON", "{"],
		["two values", `${JSON.stringify(plain)}{}`],
		["a byte order mark", `\ufeff${JSON.stringify(plain)}`],
		["a list", [plain]],
		["null", "null"],
		["a text", '"backend"'],
		["another program", { ...plain, shardcast: "gateway" }],
		["no version", { shardcast: "backend", port: 9001 }],
		["a version that is text", { ...plain, version: "1" }],
		["a version between two", { ...plain, version: 1.5 }],
		["no port", { shardcast: "backend", version: 1 }],
		["port 0", { ...plain, port: 0 }],
		["port 65536", { ...plain, port: 65_536 }],
		["a port that is text", { ...plain, port: "9001" }],
		["half a port", { ...plain, port: 9001.5 }],
		["a name that is no text", { ...plain, name: 1 }],
		["a long name", { ...plain, name: "x".repeat(65) }],
		["a line break in the name", { ...plain, name: "a\nb" }],
		["a terminal's control characters in the name", { ...plain, name: "\u001b[2J" }],
		["half a character in the name", '{"shardcast":"backend","version":1,"port":9001,"name":"\\ud800"}'],
		["a name that turns the direction of writing", { ...plain, name: "a\u202eb" }],
		["a negative time", { ...plain, time: -1 }],
		["a time that is no whole number", { ...plain, time: 1.5 }],
		["a time that is too large", { ...plain, time: 2 ** 60 }],
		["a short nonce", { ...plain, nonce: "abc" }],
		["a long nonce", { ...plain, nonce: "x".repeat(65) }],
		["a nonce with a line break", { ...plain, nonce: "0123456789abcde\n" }],
		["leaving that is a number", { ...plain, leaving: 1 }],
		["a short signature", { ...plain, signature: "00" }],
		["a signature in capitals", { ...plain, signature: "A".repeat(64) }],
		["a field that nobody knows", { ...plain, weight: 1 }],
		["a value with fields", { ...plain, name: { port: 1 } }],
		["a name of JavaScript objects", '{"shardcast":"backend","version":1,"port":9001,"__proto__":{"port":1}}'],
		["a port twice", '{"shardcast":"backend","version":1,"port":9001,"port":9002}'],
		["a port twice, once with an escape", '{"shardcast":"backend","version":1,"port":9001,"p\\u006frt":9002}'],
		["a host that is a name", { ...plain, host: "example.com" }],
		["a host with a port", { ...plain, host: "10.0.0.7:80" }],
		["a host with brackets", { ...plain, host: "[::1]" }],
		["a host with a device", { ...plain, host: "fe80::1%eth0" }],
		["an IPv4 address with a leading zero", { ...plain, host: "010.0.0.7" }],
		["an IPv4 address as a number", { ...plain, host: "167772167" }],
		["every address", { ...plain, host: "0.0.0.0" }],
		["every address of IPv6", { ...plain, host: "0:0:0:0:0:0:0:0" }],
		["every address, mapped", { ...plain, host: "::ffff:0.0.0.0" }],
		["a multicast address", { ...plain, host: "224.0.0.1" }],
		["the broadcast address", { ...plain, host: "255.255.255.255" }],
		["the broadcast address, mapped in hexadecimal digits", { ...plain, host: "::ffff:ffff:ffff" }],
		["a multicast address of IPv6", { ...plain, host: "FF02::1" }],
	])("is malformed with %s", (_, value) => {
		expect(parse(value)).toBe("malformed");
	});

	it("is malformed when it is not UTF-8", () => {
		const datagram = bytes(JSON.stringify({ ...plain, name: "ab" }));
		datagram[datagram.indexOf(0x61)] = 0xff;
		expect(parseAnnouncement(datagram)).toBe("malformed");
	});

	it("may have braces, quotes and colons in its name", () => {
		expect(parse({ ...plain, name: '"port":1,{"\\":' })).toMatchObject({ port: 9001, name: '"port":1,{"\\":' });
	});

	it("of another version is told apart, whatever else it has", () => {
		expect(parse({ ...plain, version: 2, weight: 1 })).toBe("other_version");
	});

	it("of more than 1,024 bytes is refused before it is read", () => {
		const padding = 1024 - JSON.stringify(plain).length;
		expect(parse(JSON.stringify(plain) + " ".repeat(padding))).toMatchObject({ port: 9001 });
		expect(parse(JSON.stringify(plain) + " ".repeat(padding + 1))).toBe("oversized");
		expect(parseAnnouncement(new Uint8Array(65_507))).toBe("oversized");
	});

	it("has one form of each address", () => {
		for (const [written, canonical] of [
			["0:0:0:0:0:0:0:1", "::1"],
			["::0001", "::1"],
			["2001:DB8::A", "2001:db8::a"],
			["::ffff:10.0.0.7", "10.0.0.7"],
			["::ffff:a00:7", "10.0.0.7"],
			["0:0:0:0:0:ffff:10.0.0.7", "10.0.0.7"],
			["10.0.0.7", "10.0.0.7"],
		] as const)
			expect(parse({ ...plain, host: written }), written).toMatchObject({ host: canonical, hostText: written });
	});
});
