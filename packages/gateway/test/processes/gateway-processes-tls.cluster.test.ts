import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManagedProcess, makeCertificate, waitFor } from "@shardcast/testkit";
import { afterEach, describe, expect, it } from "vitest";
import { FakeBackend, frameBytes } from "../support/fake-backend.ts";
import { RigClient, tokenOf } from "../support/gateway-rig.ts";

const main = join(import.meta.dirname, "../../../../apps/supervisor/dist/main.js");
const [control, file] = [1, 4];
const within = { deadlineMs: 30_000 };
const closing: (() => unknown)[] = [];
afterEach(async () => {
	for (const close of closing.splice(0).reverse()) await close();
});

/** Clients on both processes. The balancer leaves out a process that has stood still for a while. */
function onBoth(count: number, connect: () => RigClient): Promise<RigClient[]> {
	return waitFor(
		async () => {
			const clients = Array.from({ length: count }, connect);
			try {
				await Promise.all(clients.map((client) => client.welcome()));
				expect(new Set(clients.map(({ id }) => id >>> 26))).toEqual(new Set([0, 1]));
				return clients;
			} catch (error) {
				for (const { socket } of clients) socket.terminate();
				throw error;
			}
		},
		{ ...within, what: "clients on both processes" },
	);
}

describe("a gateway of two processes", () => {
	it("takes clients over TLS on both, passes the longest frames between them, counts the clients of an address over both, also while Redis cannot be reached", async () => {
		const folder = mkdtempSync(join(tmpdir(), "gateway-tls-"));
		closing.push(() => rmSync(folder, { recursive: true }));
		const { certFile, keyFile } = makeCertificate(folder, { name: "gateway" });
		const backend = await FakeBackend.open();
		closing.push(() => backend.close());
		const args = ["gateway", "127.0.0.1:0", `127.0.0.1:${backend.port}`, "--shards", "2", "--tls-cert", certFile, "--tls-key", keyFile];
		// Nothing listens there.
		const env = { SHARDCAST_REDIS_URL: "redis://127.0.0.1:1" };
		const program = await ManagedProcess.start(main, [...args, "--max-connections-per-ip", "4", "--log-format", "json"], { env });
		closing.push(() => program.stop());
		const [, port] = await program.waitForOutput(/wss:\/\/127\.0\.0\.1:(\d+), https.*; 2 processes/, 60_000);
		const connect = (): RigClient => {
			const client = new RigClient(`wss://127.0.0.1:${port}`, { rejectUnauthorized: false });
			closing.push(() => client.socket.terminate());
			return client;
		};
		const clients = await onBoth(4, connect);
		expect((await connect().closing()).code).toBe(1006);
		// The only backend is with the first process.
		const far = clients.find(({ id }) => id >>> 26 === 1)!;
		const data = await backend.connection("data");
		await waitFor(() => far.told.some(({ up, backends }) => up === true || (backends as { up: boolean }[] | undefined)?.[0]?.up), {
			...within,
			what: "the backend",
		});
		const content = Buffer.alloc(8 * 2 ** 20 - 1);
		for (let at = 0; at < content.length - 4; at += 4096) content.writeUInt32BE(at, at);
		far.send(file, 1, content);
		await waitFor(() => data.frames.some(({ frameClass }) => frameClass === file), { ...within, what: "the frame at the backend" });
		expect(data.frames.at(-1)!.clientId).toBe(far.id);
		expect(data.frames.at(-1)!.content.equals(content)).toBe(true);
		data.socket.write(frameBytes(file, far.id, content));
		await waitFor(() => far.frames.length === 1, { ...within, what: "the frame at the client" });
		expect(far.frames[0]!.content.equals(content)).toBe(true);
		far.send(control, 1, "done");
		await program.waitForOutput(/"level":"(warn|error)"[^\n]*redis/i, 30_000);
		const link = await backend.connection("control");
		await waitFor(() => link.story.includes("done"), { ...within, what: "a command after it" });
	});

	it("counts the connections of a user over both", async () => {
		const backend = await FakeBackend.open();
		closing.push(() => backend.close());
		const secret = "a-secret-of-some-length";
		const args = ["gateway", "127.0.0.1:0", `127.0.0.1:${backend.port}`, "--shards", "2", "--user-connection-limit", "2"];
		const program = await ManagedProcess.start(main, [...args, "--log-format", "json"], { env: { SHARDCAST_TOKEN_HMAC_SECRET: secret } });
		closing.push(() => program.stop());
		const [, port] = await program.waitForOutput(/ws:\/\/127\.0\.0\.1:(\d+), http.*; 2 processes/, 60_000);
		const connect = (user: string): RigClient => {
			const client = new RigClient(`ws://127.0.0.1:${port}/?token=${tokenOf(user, secret)}`);
			closing.push(() => client.socket.terminate());
			return client;
		};
		const clients = await onBoth(2, () => connect("ann"));
		// One of each process.
		expect((await connect("ann").closing()).code).toBe(1006);
		expect((await connect("ann").closing()).code).toBe(1006);
		await connect("bob").welcome();
		clients[0]!.socket.terminate();
		await waitFor(
			async () => {
				const again = connect("ann");
				await waitFor(() => again.told.length > 0 || again.closed !== null, { ...within, what: "an answer" });
				return again.closed === null;
			},
			{ ...within, what: "room for the user" },
		);
	});
});
