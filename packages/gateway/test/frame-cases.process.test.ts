import { Opcode, waitFor } from "@shardcast/testkit";
import { type CaseMessages, exchangeFrames, frameCases } from "@shardcast/testkit/fuzz";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { FakeConnection } from "./support/fake-backend.ts";
import { GatewayRig } from "./support/gateway-rig.ts";

// What a client may send, and what RFC 6455 says of it, on the endpoint of a gateway: its backend must get what is right, and nothing else. The
// cases themselves are shown to be right in `frame-cases.process.test.ts` of the server.

const control = 1;
const messages: CaseMessages = {
	opcode: Opcode.binary,
	bytesMax: 65_536,
	message: (n, bytes = 0) => {
		// The client's id, which the gateway writes, the backend's, and the class.
		const head = Buffer.from([0, 0, 0, 0, 0, 0, 0, 1, control]);
		const text = Buffer.from(`message ${n}`);
		return Buffer.concat([head, text, Buffer.alloc(Math.max(0, bytes - head.length - text.length), "x")]);
	},
};

describe("cases of frames on a gateway", () => {
	let rig: GatewayRig;
	let link: FakeConnection;
	let known = 0;
	beforeAll(async () => {
		rig = await GatewayRig.start();
		link = await rig.backends[0]!.connection("control");
	});
	afterAll(() => rig.stop());

	/** What the backend has got of the only client since the last call, when it has been told that the client is gone. */
	const taken = async (): Promise<number[]> => {
		const isLeft = () => link.messages.slice(known).some(({ type }) => type === "client_left");
		await waitFor(isLeft, { deadlineMs: 5000, everyMs: 2, what: "client_left" });
		known = link.messages.length;
		const frames = link.frames.splice(0, link.frames.length, ...link.frames.filter(({ frameClass }) => frameClass !== control));
		return frames.flatMap(({ frameClass, content }) =>
			frameClass === control ? [Number(/^message (\d+)/.exec(content.toString("latin1"))?.[1])] : [],
		);
	};

	it.each(frameCases(messages))("$name", async (one) => {
		const expected = { messages: one.messages, pongs: one.pongs, end: one.end, ...one.shard?.outcome };
		const seen = await exchangeFrames({ port: rig.port, path: "/", pieces: [one.bytes] });
		const isWrong = typeof expected.end === "object" && "wrong" in expected.end;
		expect({
			messages: await taken(),
			// A client that is cut off gets nothing more.
			pongs: isWrong ? expected.pongs : seen.pongs,
			end: seen.stayedOpen ? "open" : seen.closeCode !== null ? { closed: seen.closeCode } : isWrong ? expected.end : "cut",
		}).toEqual(expected);
	});
});
