import { once } from "node:events";
import { createServer } from "node:net";
import { connect } from "node:tls";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { clientHelloBytesMax, readClientHello } from "../src/client-hello.ts";

/** What Node's TLS client sends first. */
async function helloOf(options: { readonly servername?: string; readonly maxVersion?: "TLSv1.2" }): Promise<Buffer> {
	const server = createServer().listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address() as { port: number };
	const client = connect({ port, host: "127.0.0.1", ...options });
	client.on("error", () => {});
	const [connection] = (await once(server, "connection")) as [import("node:net").Socket];
	const [bytes] = (await once(connection, "data")) as [Buffer];
	connection.destroy();
	client.destroy();
	server.close();
	return bytes;
}

describe("the first message of a TLS connection", () => {
	let named: Buffer;
	let unnamed: Buffer;
	let older: Buffer;
	beforeAll(async () => {
		named = await helloOf({ servername: "Chat.Example.com" });
		unnamed = await helloOf({});
		older = await helloOf({ servername: "old.example.com", maxVersion: "TLSv1.2" });
	});

	it("says which server name the client asks for", () => {
		expect(readClientHello(named, named.length)).toEqual({ status: "complete", serverName: "Chat.Example.com" });
		expect(readClientHello(unnamed, unnamed.length)).toEqual({ status: "complete", serverName: null });
		expect(readClientHello(older, older.length)).toEqual({ status: "complete", serverName: "old.example.com" });
	});

	it("is incomplete at every point before its end, and what follows does not matter", () => {
		for (let length = 0; length < named.length; length++)
			expect(readClientHello(named, length), `the first ${length} of ${named.length} bytes`).toEqual({ status: "incomplete" });
		const longer = Buffer.concat([named, Buffer.from("more")]);
		expect(readClientHello(longer, longer.length)).toEqual({ status: "complete", serverName: "Chat.Example.com" });
	});

	it.each([
		["HTTP", "GET / HTTP/1.1\r\n"],
		["a PROXY header", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n"],
		["a TLS alert", "\x15\x03\x01\x00\x02\x02\x28"],
		["a record that is too long", "\x16\x03\x01\xff\xff\x01"],
		["an empty record", "\x16\x03\x01\x00\x00"],
		["another version", "\x16\x02\x01"],
		["another handshake message", "\x16\x03\x01\x00\x10\x02"],
	])("is not %s", (_what, text) => {
		const bytes = Buffer.from(text, "latin1");
		expect(readClientHello(bytes, bytes.length)).toEqual({ status: "other" });
	});

	it("is read within its record whatever has been changed in it", () => {
		fc.assert(
			fc.property(fc.nat(), fc.nat(255), fc.nat(255), (where, to, next) => {
				const changed = Buffer.from(named);
				changed[5 + (where % (named.length - 6))] = to;
				changed[6 + (where % (named.length - 6))] = next;
				const hello = readClientHello(changed, changed.length);
				if (hello.status === "complete" && hello.serverName !== null) expect(hello.serverName.length).toBeLessThan(256);
			}),
		);
		expect(clientHelloBytesMax).toBe(16_389);
	});
});
