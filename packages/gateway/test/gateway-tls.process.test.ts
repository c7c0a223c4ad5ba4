import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeCertificate, waitFor } from "@shardcast/testkit";
import { describe, expect, it } from "vitest";
import { frameBytes } from "./support/fake-backend.ts";
import { gatewayRigs, RigClient } from "./support/gateway-rig.ts";

const file = 4;
const { opened, start } = gatewayRigs();
const within = { deadlineMs: 10_000 };

describe("a gateway", () => {
	it("with a certificate takes clients over TLS only", async () => {
		const folder = mkdtempSync(join(tmpdir(), "gateway-tls-"));
		opened.push({ stop: () => rmSync(folder, { recursive: true }) });
		const { certFile, keyFile } = makeCertificate(folder, { name: "gateway" });
		const rig = await start({ tlsCert: certFile, tlsKey: keyFile });
		const client = new RigClient(`wss://127.0.0.1:${rig.port}`, { rejectUnauthorized: false });
		opened.push({ stop: () => client.socket.terminate() });
		await client.welcome();
		client.send(1, 1, "over TLS");
		const link = await rig.backends[0]!.connection("control");
		await waitFor(() => link.story.includes("over TLS"), { ...within, what: "the frame" });
		const plain = rig.open();
		await plain.closing();
		expect(rig.report.clients.opened).toBe(1);
	});

	it("passes the longest frames both ways", async () => {
		const rig = await start();
		const client = await rig.client();
		const data = await rig.backends[0]!.connection("data");
		const content = Buffer.alloc(8 * 2 ** 20 - 1);
		for (let at = 0; at < content.length; at += 4096) content.writeUInt32BE(at, Math.min(at, content.length - 4));
		client.send(file, 1, content);
		await waitFor(() => data.frames.some(({ frameClass }) => frameClass === file), { ...within, what: "the frame at the backend" });
		expect(data.frames.at(-1)!.content.equals(content)).toBe(true);
		data.socket.write(frameBytes(file, client.id, content));
		await waitFor(() => client.frames.length === 1, { ...within, what: "the frame at the client" });
		expect(client.frames[0]!.content.equals(content)).toBe(true);
		await waitFor(() => rig.report.buffers.tiers.every(({ inUse }) => inUse === 0), { ...within, what: "all buffers are back" });
		// More is cut before it is read.
		client.send(file, 1, Buffer.alloc(10 * 2 ** 20));
		expect((await client.closing()).code).toBe(1006);
	});
});
