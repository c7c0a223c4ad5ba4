import { defaultConfig } from "@shardcast/config";
import { type LibraryClient, Opcode, postJson } from "@shardcast/testkit";
import {
	type CaseMessages,
	type CaseOutcome,
	clientFrame,
	exchangeFrames,
	Fin,
	type FrameCase,
	FrameJudge,
	frameCases,
} from "@shardcast/testkit/fuzz";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startShards, type TestShards } from "../../harness.ts";

// What a client may send, and what RFC 6455 says of it: on each endpoint of a shard. That the cases themselves are right is shown by the server
// of the `ws` library. Each case is sent at once, and a short one also in pieces of one byte.

const piecesOf = ({ bytes }: FrameCase): (readonly Buffer[])[] =>
	bytes.length > 500 ? [[bytes]] : [[bytes], Array.from(bytes, (byte) => Buffer.from([byte]))];
const characters = "é€𐍈\uffff\u{10ffff}";
const padded = (text: string, bytes = 0) => Buffer.from(text + "x".repeat(Math.max(0, bytes - Buffer.byteLength(text))));
const numberOf = (text: string): number => Number(/message (\d+)/.exec(text)?.[1] ?? Number.NaN);

/** Binary messages on an endpoint that takes both: the same cases once more, without those about UTF-8. */
const variant = ["long"];

for (const { name, opcode, tags } of [
	{ name: "text", opcode: Opcode.text, tags: [] },
	{ name: "binary", opcode: Opcode.binary, tags: variant },
])
	describe(`cases of frames with ${name}, on ws`, { tags }, () => {
		const messages: CaseMessages = { opcode, bytesMax: 70_000, message: (n, bytes) => padded(`message ${n} ${characters}`, bytes) };
		let judge: FrameJudge;
		beforeAll(async () => {
			judge = await FrameJudge.open({ messageBytesMax: messages.bytesMax, deflate: false });
		});
		afterAll(() => judge.close());

		it.each(frameCases(messages))("$name", async (one) => {
			for (const [index, pieces] of piecesOf(one).entries()) {
				const path = `/?case=${encodeURIComponent(one.name)}&pieces=${index}`;
				const taken = judge.takes(path);
				const seen = await exchangeFrames({ port: judge.port, path, pieces });
				const { messages, end } = await taken;
				const outcome: CaseOutcome = {
					messages: messages.map((message) => numberOf(Buffer.from(message.slice(message.indexOf(":") + 1), "hex").toString())),
					pongs: seen.pongs,
					end: seen.stayedOpen ? "open" : end === "wrong" ? { wrong: seen.closeCode! } : { closed: end as number },
				};
				expect(outcome).toEqual({ messages: one.messages, pongs: one.pongs, end: one.end });
			}
		});
	});

for (const endpoint of [
	{
		name: "the raw endpoint, text",
		tags: [],
		path: "/ws?channels=cases",
		first: Buffer.alloc(0),
		opcode: Opcode.text,
		bytesMax: 65_536,
		message: (n: number, bytes?: number) => padded(`message ${n} ${characters}`, bytes),
	},
	{
		name: "the raw endpoint, binary",
		tags: variant,
		path: "/ws?channels=cases",
		first: Buffer.alloc(0),
		opcode: Opcode.binary,
		bytesMax: 65_536,
		message: (n: number, bytes?: number) => padded(`message ${n} ${characters}`, bytes),
	},
	{
		name: "the Centrifuge protocol",
		tags: [],
		path: "/connection/websocket",
		first: Buffer.from('{"id":1,"connect":{}}'),
		opcode: Opcode.text,
		bytesMax: 65_536,
		message: (n: number, bytes = 0) => {
			const [before, after] = [`{"id":${n + 1},"publish":{"channel":"cases","data":"message ${n} ${characters}`, '"}}'];
			return Buffer.concat([padded(before, bytes - after.length), Buffer.from(after)]);
		},
	},
])
	describe(`cases of frames on ${endpoint.name}`, { tags: endpoint.tags }, () => {
		let shards: TestShards;
		let observer: LibraryClient;
		let reported = 0;
		beforeAll(async () => {
			const channels = { ...defaultConfig().channelWithoutNamespace, allowPublishForClient: true };
			shards = await startShards(1, { config: { clientInsecure: true, channelWithoutNamespace: channels } });
			observer = await shards.client(0, "/ws?channels=cases");
		});
		afterAll(() => shards.stop());

		/** The numbers of the messages that the observer has got since the last call. */
		const taken = async (): Promise<number[]> => {
			// Delivered after whatever is under way.
			const last = new Promise<void>((resolve) => {
				observer.onMessage = ({ bytes }) => numberOf(bytes.toString()) === 0 && resolve();
			});
			await postJson(`${shards.shards[0].httpUrl}/api/publish`, { channel: "cases", data: "message 0" });
			await last;
			const numbers = observer.texts().slice(reported).map(numberOf);
			reported = observer.messages.length;
			return numbers.filter((number) => number !== 0);
		};

		it.each(frameCases(endpoint))("$name", async (one) => {
			const { row } = shards.shards[0];
			const opening = endpoint.first.length === 0 ? [] : [clientFrame(Fin | Opcode.text, endpoint.first)];
			const expected = { messages: one.messages, pongs: one.pongs, end: one.end, ...one.shard?.outcome };
			for (const pieces of piecesOf(one)) {
				const seen = await exchangeFrames({ port: row.port, path: endpoint.path, pieces: [...opening, ...pieces] });
				const isWrong = typeof expected.end === "object" && "wrong" in expected.end;
				const numbers = await taken();
				// A busy shard carries out the commands of a read in several turns of its loop; those of a client that is gone by then are dropped.
				const mayLack = expected.end !== "open" && endpoint.first.length > 0;
				const outcome = {
					messages: mayLack ? [...numbers, ...expected.messages.slice(numbers.length)] : numbers,
					// A client that is cut off gets nothing more.
					pongs: isWrong ? expected.pongs : seen.pongs,
					// uWebSockets.js cuts the connection without a close frame, whatever is wrong.
					end: seen.stayedOpen ? "open" : seen.closeCode !== null ? { closed: seen.closeCode } : isWrong ? expected.end : "cut",
				};
				expect(outcome).toEqual(expected);
			}
		});
	});
