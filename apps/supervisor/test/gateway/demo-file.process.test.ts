import { join } from "node:path";
import { ManagedProcess, waitFor } from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FakeGateway, FrameClass, type Received } from "./support/fake-gateway.ts";

const demo = join(import.meta.dirname, "../../../../examples/gateway/demo.mjs");
const chunkBytes = (32 << 10) - 16;

describe("a file of examples/gateway/demo.mjs", () => {
	let backend: ManagedProcess;
	let port: number;
	let gateway: FakeGateway;
	beforeAll(async () => {
		backend = await ManagedProcess.start(demo, ["--port", "0", "--web", "0"]);
		port = Number((await backend.waitForOutput(/listens on port (\d+)/, 10_000))[1]);
		gateway = await FakeGateway.open(port, "00000000000000aa", [7]);
	});
	afterAll(async () => {
		gateway?.close();
		await backend?.stop();
	});

	const get = (transfer: number, bytes: number, from = 0) => gateway.order(7, { type: "get", transfer, bytes, from });
	const offset = ({ body }: Received): number => body.readUInt32BE(4);
	function acknowledge(transfer: number, received: number): void {
		const body = Buffer.alloc(9);
		body[0] = FrameClass.FILE;
		body.writeUInt32BE(transfer, 1);
		body.writeUInt32BE(received, 5);
		gateway.send(7, FrameClass.ACK, body);
	}
	/** All frames that have come once it has nothing more to send: it has answered a later question. */
	async function unacknowledged(count: number): Promise<Received[]> {
		await waitFor(() => gateway.of(FrameClass.FILE).length >= count, { deadlineMs: 10_000, what: `${count} frames` });
		for (let round = 0; round < 3; round++) await gateway.ask(7, { type: "time", at: 0 });
		return gateway.of(FrameClass.FILE);
	}

	it.each([
		["32 chunks", 32 * chunkBytes],
		["31 chunks and a half", 31.5 * chunkBytes],
	])("of %s: 32 frames are unacknowledged at most, the hash among them", async (_, bytes) => {
		gateway.forget();
		const transfer = Math.floor(bytes / 1024);
		get(transfer, bytes);
		expect((await unacknowledged(32)).map(offset)).toEqual(Array.from({ length: 32 }, (__, chunk) => chunk * chunkBytes));
		acknowledge(transfer, chunkBytes);
		const all = await unacknowledged(33);
		expect([all.length, offset(all[32]!), all[32]!.body.length]).toEqual([33, bytes, 12 + 32]);
	});

	it("that goes on from a later chunk has the same window", async () => {
		gateway.forget();
		get(1, 100 * chunkBytes, 50 * chunkBytes);
		expect((await unacknowledged(32)).length).toBe(32);
		for (let received = 60; received <= 100; received += 10) {
			acknowledge(1, received * chunkBytes);
			// 32 more than are acknowledged, and the hash is the 101st.
			const count = Math.min(32 + received - 50, 51);
			expect((await unacknowledged(count)).length).toBe(count);
		}
	});
});
